"""Tunneling-Aware Compensation: statistics, sensitivity, allocation, correction, saturation ratio."""

from qtaml_hw.tac.allocation import Allocation, BudgetPath, Knapsack, solve
from qtaml_hw.tac.correction import KINDS, Correction, CorrectionKind, corrected_noise, correction
from qtaml_hw.tac.damage import DamageModel, damage_model
from qtaml_hw.tac.decoder import ImageDecoder, ProtectedImage
from qtaml_hw.tac.policies import (
    Menu,
    Planned,
    Prices,
    bit_prices,
    knapsack,
    magnitude_importance,
    parity_prices,
    plan_by_damage,
    plan_uniform,
    predicted_distortion,
    random_importance,
)
from qtaml_hw.tac.saturation import SaturationRatio, saturation_ratio
from qtaml_hw.tac.sensitivity import Sensitivity, jacobian_energy
from qtaml_hw.tac.statistics import affine_drift, symmetric_variance, value_statistics

__all__ = [
    "KINDS",
    "Allocation",
    "BudgetPath",
    "Correction",
    "CorrectionKind",
    "DamageModel",
    "ImageDecoder",
    "Knapsack",
    "Menu",
    "Planned",
    "Prices",
    "ProtectedImage",
    "SaturationRatio",
    "Sensitivity",
    "affine_drift",
    "bit_prices",
    "corrected_noise",
    "correction",
    "damage_model",
    "jacobian_energy",
    "knapsack",
    "magnitude_importance",
    "parity_prices",
    "plan_by_damage",
    "plan_uniform",
    "predicted_distortion",
    "random_importance",
    "saturation_ratio",
    "solve",
    "symmetric_variance",
    "value_statistics",
]
