"""What protects which bits: menu entries, plans, word layouts, overhead tables and plan files."""

from qtaml_hw.protection.difference import PlanDifference, plan_diff, plan_difference
from qtaml_hw.protection.export import to_csv, to_json, to_latex, to_markdown
from qtaml_hw.protection.files import load_plan, plan_for, save_plan
from qtaml_hw.protection.layout import BitOrder, WordLayout
from qtaml_hw.protection.menu import Menu, MenuEntry, entry, entry_at, faster_refresh, robust_cell
from qtaml_hw.protection.plan import ProtectionPlan
from qtaml_hw.protection.table import EccRow, PlanRow, overhead_table, plan_table

__all__ = [
    "BitOrder",
    "EccRow",
    "Menu",
    "MenuEntry",
    "PlanDifference",
    "PlanRow",
    "ProtectionPlan",
    "WordLayout",
    "entry",
    "entry_at",
    "faster_refresh",
    "load_plan",
    "overhead_table",
    "plan_diff",
    "plan_difference",
    "plan_for",
    "plan_table",
    "robust_cell",
    "save_plan",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
]
