"""Tunneling-Aware Compensation: statistics, sensitivity, allocation, correction, saturation ratio."""

from qtaml_hw.names import CorrectionKind
from qtaml_hw.tac.allocation import Allocation, BudgetPath, Cheapest, Knapsack, solve
from qtaml_hw.tac.alone import DrawnFlips, OneLayer, flipped, measured_importance
from qtaml_hw.tac.automatic import Automatic, OneKind
from qtaml_hw.tac.budget import Budget, Menu, Prices, TrueCost, bit_prices, parity_prices, stored_prices
from qtaml_hw.tac.by_code import WorthByCode
from qtaml_hw.tac.calibrate import MATCHED_DRAWS, CalibratedDecoder, ChannelMatch
from qtaml_hw.tac.corrected import corrected_damage, ideal_path, top_planes_plan
from qtaml_hw.tac.correction import FOLDING_KINDS, KINDS, Correction, channel_matrix, corrected_noise, correction
from qtaml_hw.tac.damage import DamageModel, damage_model
from qtaml_hw.tac.decoder import ImageDecoder, ProtectedImage
from qtaml_hw.tac.exact import reach_exactly, solve_exactly
from qtaml_hw.tac.families import knapsack
from qtaml_hw.tac.joint import CAPS, JointProblem, Uncoded, coded, compensation
from qtaml_hw.tac.policies import POLICIES, Planning, Worth, plan_uniform, plan_uniform_reaching
from qtaml_hw.tac.response import MEASURES, Probe, Response, measured_response, refined_damage
from qtaml_hw.tac.saturation import SaturationRatio, saturation_ratio, saturation_ratio_at
from qtaml_hw.tac.scale_worth import Direction, directions, with_scales
from qtaml_hw.tac.scores import SCORES, Calibration, importance, magnitude_importance, random_importance
from qtaml_hw.tac.second_order import Draws, drawn_codes, noisy_importance, refine, second_order_importance
from qtaml_hw.tac.sensitivity import Estimate, Into, OutputName, Sensitivity, Stopping, energies_into, jacobian_energy
from qtaml_hw.tac.side import SideInformation, side_information
from qtaml_hw.tac.spending import (
    Optimum,
    Planned,
    Share,
    plan_by_damage,
    predicted_distortion,
    share_out,
)
from qtaml_hw.tac.statistics import affine_drift, symmetric_variance, value_statistics
from qtaml_hw.tac.widths import Width, WidthTable

__all__ = [
    "CAPS",
    "FOLDING_KINDS",
    "KINDS",
    "MATCHED_DRAWS",
    "MEASURES",
    "POLICIES",
    "SCORES",
    "Allocation",
    "Automatic",
    "Budget",
    "BudgetPath",
    "CalibratedDecoder",
    "Calibration",
    "ChannelMatch",
    "Cheapest",
    "Correction",
    "CorrectionKind",
    "DamageModel",
    "Direction",
    "DrawnFlips",
    "Draws",
    "Estimate",
    "ImageDecoder",
    "Into",
    "JointProblem",
    "Knapsack",
    "Menu",
    "OneKind",
    "OneLayer",
    "Optimum",
    "OutputName",
    "Planned",
    "Planning",
    "Prices",
    "Probe",
    "ProtectedImage",
    "Response",
    "SaturationRatio",
    "Sensitivity",
    "Share",
    "SideInformation",
    "Stopping",
    "TrueCost",
    "Uncoded",
    "Width",
    "WidthTable",
    "Worth",
    "WorthByCode",
    "affine_drift",
    "bit_prices",
    "channel_matrix",
    "coded",
    "compensation",
    "corrected_damage",
    "corrected_noise",
    "correction",
    "damage_model",
    "directions",
    "drawn_codes",
    "energies_into",
    "flipped",
    "ideal_path",
    "importance",
    "jacobian_energy",
    "knapsack",
    "magnitude_importance",
    "measured_importance",
    "measured_response",
    "noisy_importance",
    "parity_prices",
    "plan_by_damage",
    "plan_uniform",
    "plan_uniform_reaching",
    "predicted_distortion",
    "random_importance",
    "reach_exactly",
    "refine",
    "refined_damage",
    "saturation_ratio",
    "saturation_ratio_at",
    "second_order_importance",
    "share_out",
    "side_information",
    "solve",
    "solve_exactly",
    "stored_prices",
    "symmetric_variance",
    "top_planes_plan",
    "value_statistics",
    "with_scales",
]
