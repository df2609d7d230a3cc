"""Tunneling-Aware Compensation: statistics, sensitivity, allocation, correction, saturation ratio."""

from qtaml_hw.names import CorrectionKind
from qtaml_hw.protection import Menu
from qtaml_hw.tac.allocation.budget import Budget, Prices, TrueCost, bit_prices, parity_prices, stored_prices
from qtaml_hw.tac.allocation.corrected import corrected_damage, ideal_path, top_planes_plan
from qtaml_hw.tac.allocation.exact import reach_exactly, solve_exactly
from qtaml_hw.tac.allocation.families import knapsack
from qtaml_hw.tac.allocation.joint import CAPS, JointProblem, Uncoded, coded, compensation
from qtaml_hw.tac.allocation.knapsack import Allocation, BudgetPath, Cheapest, Knapsack, solve
from qtaml_hw.tac.allocation.policies import POLICIES, Planning, Worth, plan_uniform, plan_uniform_reaching
from qtaml_hw.tac.allocation.saturation import SaturationRatio, saturation_ratio, saturation_ratio_at
from qtaml_hw.tac.allocation.spending import (
    Optimum,
    Planned,
    Share,
    plan_by_damage,
    predicted_distortion,
    share_out,
)
from qtaml_hw.tac.allocation.widths import Width, WidthTable
from qtaml_hw.tac.decoding.automatic import Automatic, OneKind
from qtaml_hw.tac.decoding.calibrate import MATCHED_DRAWS, CalibratedDecoder, ChannelMatch
from qtaml_hw.tac.decoding.correction import (
    FOLDING_KINDS,
    KINDS,
    Correction,
    channel_matrix,
    corrected_noise,
    correction,
)
from qtaml_hw.tac.decoding.decoder import ImageDecoder, ProtectedImage
from qtaml_hw.tac.decoding.side import SideInformation, side_information
from qtaml_hw.tac.decoding.statistics import affine_drift, symmetric_variance, value_statistics
from qtaml_hw.tac.worth.alone import DrawnFlips, OneLayer, flipped, measured_importance
from qtaml_hw.tac.worth.by_code import WorthByCode
from qtaml_hw.tac.worth.damage import DamageModel, damage_model
from qtaml_hw.tac.worth.drift import drift, drift_tables
from qtaml_hw.tac.worth.response import MEASURES, Probe, Response, measured_response, refined_damage
from qtaml_hw.tac.worth.scales import Direction, directions, with_scales
from qtaml_hw.tac.worth.scores import SCORES, Calibration, importance, magnitude_importance, random_importance
from qtaml_hw.tac.worth.second_order import Draws, drawn_codes, noisy_importance, refine, second_order_importance
from qtaml_hw.tac.worth.sensitivity import (
    Estimate,
    Into,
    OutputName,
    Sensitivity,
    Stopping,
    energies_into,
    jacobian_energy,
)

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
    "drift",
    "drift_tables",
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
