"""Every field of a record, a row each: its unit, what it belongs to, where its value comes from, what it may be.

What is said of a field is said here: a record with another key is not made, and the checks of a report, its columns,
the means over fault maps, and the tables of the documentation are read off these rows.  A field is its own name:
``record[F.area_m2]``.
"""

from __future__ import annotations

from typing import Final

from qtaml_hw.records import kinds
from qtaml_hw.records.field import Field
from qtaml_hw.records.kinds import between, or_null

NUMBER: Final = or_null(kinds.NUMBER)
TEXT: Final = or_null(kinds.TEXT)
_FLIPS: Final = or_null(between(0.0, 1.0))


# fmt: off
class F:
    """The table; a field by its name."""

    # The record itself
    schema = Field("schema", "", "study", "assumed", kinds.WHOLE, "version of the record's fields")
    identity = Field("identity", "", "point", "assumed", kinds.TEXT,
        "hash of everything that decides the result", needed=True)
    map_index = Field("map_index", "", "map", "assumed", kinds.INDEX,
        "fault map (chip), from 0 on; -1 for a point that failed", needed=True)
    study = Field("study", "", "study", "assumed", kinds.TEXT, "name of the study")
    label = Field("label", "", "point", "assumed", kinds.TEXT, "name of the point")
    case = Field("case", "", "point", "assumed", kinds.TEXT, "label of its case in the sweep; empty without cases")
    point = Field("point", "", "point", "assumed", kinds.WHOLE, "number of the point in its sweep")
    axes = Field("axes", "", "point", "assumed", kinds.MAPPING, "values on the axes of the sweep, as written")
    axes_si = Field("axes_si", "", "point", "assumed", kinds.AXIS_VALUES, "the same in SI")
    seed = Field("seed", "", "study", "assumed", kinds.WHOLE, "seed of the fault maps")
    at_s = Field("at_s", "s", "study", "assumed", kinds.NUMBERS,
        "times at which the network is read, since the weights were written")
    error = Field("error", "", "point", "assumed", kinds.TEXT, "why a point failed; such a record has no results")
    warnings = Field("warnings", "", "point", "assumed", kinds.TEXTS,
        "what the user may take for granted and should not")
    versions = Field("versions", "", "study", "assumed", or_null(kinds.MAPPING),
        "versions of Python, this package and those that compute")

    # Of reproductions of published results alone
    flip_p = Field("flip_p", "", "point", "assumed", NUMBER, "flip probability per bit")
    combination = Field("combination", "", "point", "assumed", kinds.TEXT, "combination of a paper's methods")
    training_seed = Field("training_seed", "", "point", "assumed", kinds.WHOLE, "seed of the training")

    # Network, data and number format
    network = Field("network", "", "study", "assumed", kinds.TEXT, "name of the network")
    data = Field("data", "", "study", "assumed", kinds.TEXT, "name of the data set, its file or its factory")
    classes = Field("classes", "", "study", "assumed", NUMBER, "classes that the network tells apart")
    images = Field("images", "images", "study", "assumed", kinds.WHOLE,
        "test inputs that every fault map is judged on", needed=True)
    tokens = Field("tokens", "tokens", "study", "assumed", NUMBER,
        "of a language model: tokens that every fault map is judged on, each once")
    texts = Field("texts", "texts", "study", "assumed", NUMBER, "of a language model: texts that these are of")
    vocabulary = Field("vocabulary", "tokens", "study", "assumed", NUMBER, "tokens that a language model chooses from")
    log_score_halfwidth = Field("log_score_halfwidth", "nats", "study", "measured", NUMBER,
        "of a language model: half of the 95 % interval of its log score over other texts, with the clean weights")
    weights_format = Field("weights_format", "", "point", "assumed", kinds.TEXT, "number format of the stored weights")
    scale = Field("scale", "", "point", "assumed", TEXT, "what shares a scale")
    rounding = Field("rounding", "", "point", "assumed", TEXT, "how weights become codes")
    fold_batch_norm = Field("fold_batch_norm", "", "point", "assumed", kinds.FLAG,
        "whether batch norm is folded into the weights before storage")
    storage_bits_per_weight = Field("storage_bits_per_weight", "bits", "point", "modelled", NUMBER,
        "bits stored per weight, scales and tables included")
    metadata_bits_fraction = Field("metadata_bits_fraction", "%", "point", "modelled", NUMBER,
        "bits of scales and tables / data bits stored")
    decode_ge = Field("decode_ge", "GE", "point", "modelled", NUMBER,
        "gate equivalents of one decoder of the number format")
    exact_parameters = Field("exact_parameters", "", "point", "assumed", kinds.MAPPING,
        "parameters beside the memory, which no flip reaches, counted by kind")
    hardening = Field("hardening", "", "point", "assumed", kinds.TEXT,
        "how the network was trained to expect faulty weights")
    hardening_amplitude = Field("hardening_amplitude", "", "point", "assumed", NUMBER,
        "standard deviation of the noise in training")
    hardening_p = Field("hardening_p", "", "point", "assumed", NUMBER, "flip probability of a stored bit in training")
    hardening_direction = Field("hardening_direction", "", "point", "assumed", TEXT, "which bits flip in training")
    hardening_p_from = Field("hardening_p_from", "", "point", "assumed", NUMBER,
        "flip probability of the first epoch, from which it rises to hardening_p")
    hardening_map_index = Field("hardening_map_index", "", "point", "assumed", NUMBER,
        "the one fault map that training saw in every step")
    hardening_clip = Field("hardening_clip", "", "point", "assumed", NUMBER,
        "largest magnitude of a weight in training")
    hardening_epochs = Field("hardening_epochs", "", "point", "assumed", NUMBER, "passes over the training images")
    hardening_seed = Field("hardening_seed", "", "point", "assumed", NUMBER, "seed of the training")
    within = Field("within", "", "point", "assumed", kinds.TEXT, "code inside the weights whose condition they keep")
    within_clipped_weights = Field("within_clipped_weights", "", "point", "modelled", NUMBER,
        "weights that the condition of a code inside them clips")
    within_loss = Field("within_loss", "", "point", "measured", NUMBER,
        "score without flips that the clipping costs")
    transforms = Field("transforms", "", "point", "assumed", kinds.TEXTS,
        "steps that rewrite the network before it is stored")
    transform_metadata_bits = Field("transform_metadata_bits", "bits", "point", "modelled", NUMBER,
        "bits that undo the steps when weights are read")
    transform_decode_ge = Field("transform_decode_ge", "GE", "point", "modelled", NUMBER,
        "gate equivalents of one decoder that undoes them")
    inverted_planes = Field("inverted_planes", "", "layer", "modelled", kinds.MAPPING,
        "planes stored inverted, by tensor")
    transform_effects = Field("transform_effects", "", "point", "modelled", kinds.EFFECTS,
        "per step: predicted distortion with nothing protected, clean and quantised score, before and after")

    # Cell and flips
    cell_kind = Field("cell_kind", "", "point", "assumed", kinds.TEXT, "kind of the cell")
    cell_preset = Field("cell_preset", "", "point", "assumed", TEXT, "preset that the cell's values come from")
    v_dd_v = Field("v_dd_v", "V", "point", "assumed", NUMBER, "supply voltage")
    temperature_k = Field("temperature_k", "K", "point", "assumed", NUMBER, "temperature")
    plane_classes = Field("plane_classes", "", "point", "modelled", kinds.CLASSES,
        "planes, cell, law, refresh and flip probability of every class, where planes differ")
    law = Field("law", "", "point", "assumed", TEXT, "law of the flips")
    direction = Field("direction", "", "point", "modelled", TEXT, "which stored values flip")
    flip_structure = Field("flip_structure", "", "point", "assumed", TEXT,
        "how flips depend on each other, where they do")
    flip_structure_weights = Field("flip_structure_weights", "", "point", "assumed", NUMBER,
        "weights of a cluster, or length of a burst")
    flip_dispersion = Field("flip_dispersion", "", "point", "assumed", NUMBER,
        "variance / mean of the flips of a plane")
    retention_quantiles_s = Field("retention_quantiles_s", "s", "point", "modelled", or_null(kinds.QUANTILES),
        "time after which a share of cells has failed, by share")
    gate_share = Field("gate_share", "%", "point", "modelled", NUMBER, "share of the gate in the leakage")
    scrub_interval_s = Field("scrub_interval_s", "s", "point", "assumed", NUMBER, "scrub interval; nothing when off")
    refresh_intervals_s = Field("refresh_intervals_s", "s", "point", "assumed", kinds.INTERVALS,
        "refresh interval of every class of rows, where they differ")

    # What a fault map did to the network
    score = Field("score", "%", "map", "measured", kinds.SHARE,
        "share of test images answered right (or another metric's score), mean over fault maps, with a 95 % interval "
        "over the maps", "Accuracy", needed=True)
    score_series = Field("score_series", "%", "time", "measured", kinds.SERIES, "(time in s, score)", needed=True)
    right_answers = Field("right_answers", "", "map", "measured", TEXT,
        "of a reproduction: which images were answered rightly, a bit each, as hexadecimal digits")
    correct = Field("correct", "images", "map", "measured", NUMBER,
        "score times images, rounded: images answered right at the last time", needed=True)
    judged_images = Field("judged_images", "images", "map", "measured", NUMBER,
        "of an early verdict: images that the map was judged on, at all times together; else images at every time")
    keeps = Field("keeps", "", "map", "measured", kinds.FLAG,
        "of an early verdict: whether the chip keeps the share that was asked for at every time")
    clean_score = Field("clean_score", "%", "point", "measured", kinds.SHARE,
        "score of the network with its own weights", needed=True)
    device = Field("device", "", "point", "assumed", kinds.TEXT,
        "where the network computed: a score may differ by inputs whose two largest outputs are equal to 1e-4")
    graph = Field("graph", "", "point", "assumed", kinds.TEXT,
        "where evaluate.compile is fused: fused, or exact where the network does not allow it")
    same_answer_score = Field("same_answer_score", "%", "point", "measured", kinds.SHARE,
        "best score that one answer to all inputs has; missing for a metric of your own")
    at_chance = Field("at_chance", "", "point", "measured", kinds.FLAG,
        "whether the clean score is no better than that: it cannot show what faults do")
    quantised_score = Field("quantised_score", "%", "point", "measured", kinds.SHARE,
        "score with the stored weights and no flip", needed=True)
    metric = Field("metric", "", "study", "assumed", kinds.TEXT, "metric, where it is not top1")
    metric_title = Field("metric_title", "", "study", "assumed", kinds.TEXT, "what its score is called")
    metric_value = Field("metric_value", "", "map", "measured", NUMBER,
        "the metric in its own unit; nothing where it is no finite number")
    clean_metric_value = Field("clean_metric_value", "", "study", "measured", NUMBER,
        "the same with the network's own weights")
    p10 = Field("p10", "", "point", "modelled", _FLIPS,
        "probability that a stored 1 reads 0; assumed where the law is fixed", "p(1→0)")
    p01 = Field("p01", "", "point", "modelled", _FLIPS,
        "probability that a stored 0 reads 1; assumed where the law is fixed", "p(0→1)")
    flips_raw = Field("flips_raw", "per map", "map", "measured", kinds.TALLY,
        "data bits that read wrong before ECC; check bits are counted apart, ideal planes never err",
        "Raw bit errors", needed=True)
    flips_parity = Field("flips_parity", "per map", "map", "measured", kinds.TALLY,
        "check bits that read wrong", needed=True)
    flips_residual = Field("flips_residual", "per map", "map", "measured", kinds.TALLY,
        "data bits still wrong after ECC", "Residual bit errors", needed=True)
    words_corrected = Field("words_corrected", "per map", "map", "measured", kinds.TALLY,
        "ECC words that the decoder corrected", "Words corrected", needed=True)
    words_uncorrectable = Field("words_uncorrectable", "per map", "map", "measured", kinds.TALLY,
        "ECC words flagged as uncorrectable", "Words lost", needed=True)

    # Buffers
    buffers = Field("buffers", "", "point", "modelled", kinds.BUFFERS,
        "every buffer: its values and how many numbers each has, lifetimes in s, flip probabilities, protection")
    faulty = Field("faulty", "", "point", "assumed", kinds.TEXTS, "memories whose flips are read; all without buffers")
    budget_split = Field("budget_split", "", "point", "modelled", kinds.SPLIT,
        "of memories that spend one budget, by memory: what it spends of it, protected and parity bits / data bits, "
        "area and energy added, distortion left")
    buffer_flips = Field("buffer_flips", "", "map", "measured", kinds.BUFFER_FLIPS,
        "bits that the passes over all inputs read wrong, by buffer: raw, parity, left after decoding; words corrected "
        "and flagged")
    buffer_wrong = Field("buffer_wrong", "bits", "map", "measured", kinds.BUFFER_WRONG,
        "those left after decoding by buffer, value and plane, the lowest first")

    # Protection
    policy = Field("policy", "", "point", "assumed", TEXT, "policy of the protection")
    plan_policy = Field("plan_policy", "", "point", "assumed", TEXT, "policy that made the plan in use")
    group = Field("group", "", "point", "assumed", TEXT, "what is protected alike")
    menu = Field("menu", "", "point", "assumed", kinds.TEXTS, "entries that a plane may be given")
    correction = Field("correction", "", "point", "assumed", TEXT, "correction of decoded weights that is asked for")
    corrections = Field("corrections", "", "layer", "modelled", kinds.TEXTS, "correction of every layer")
    zero_overhead = Field("zero_overhead", "", "point", "modelled", kinds.FLAG,
        "whether the corrections cost no time and no table")
    budget_kind = Field("budget_kind", "", "point", "assumed", TEXT, "what the budget limits")
    budget = Field("budget", "", "point", "assumed", NUMBER, "the budget, in the unit of its kind")
    stored_bits = Field("stored_bits", "bits", "point", "modelled", NUMBER, "data bits stored")
    protected_bits_fraction = Field("protected_bits_fraction", "%", "point", "modelled", NUMBER,
        "protected data bits / data bits stored", "Protected bits")
    parity_bits_fraction = Field("parity_bits_fraction", "%", "point", "modelled", NUMBER,
        "added parity bits / data bits stored; 0 for ideal", "Parity bits")
    stored_bits_per_weight = Field("stored_bits_per_weight", "bits", "point", "modelled", NUMBER,
        "all bits stored per weight: data, check bits, scales and tables, bits of groups, corrections and steps",
        "Stored bits")
    side_bits_fraction = Field("side_bits_fraction", "%", "point", "modelled", NUMBER,
        "bits that tell groups and corrections apart / data bits stored, counted beside the budget")
    layers = Field("layers", "", "layer", "modelled", kinds.LAYERS,
        "name, weights, mean protected planes per weight, correction")
    lower_bound = Field("lower_bound", "", "point", "modelled", NUMBER,
        "predicted distortion that no plan of this budget goes below")
    plan_gap = Field("plan_gap", "%", "point", "modelled", NUMBER,
        "how far the plan's distortion may lie above the bound")
    plan_score = Field("plan_score", "", "point", "assumed", TEXT, "score by which TAC ranks planes")
    plan_score_output = Field("plan_score_output", "", "point", "assumed", TEXT, "output that this score looks at")
    plan_score_cost = Field("plan_score_cost", "", "point", "modelled", TEXT,
        "passes over the calibration inputs that it took")
    solver = Field("solver", "", "point", "assumed", TEXT, "solver of the plan")
    spent = Field("spent", "", "point", "modelled", kinds.MAPPING,
        "what the record grows by over the unprotected one: bits (protected) and parity / data bits stored, area_m2, "
        "energy_j per inference")
    priced_spent = Field("priced_spent", "", "point", "modelled", NUMBER,
        "cost of the plan at the linear prices of planning, in spent_unit")
    spent_unit = Field("spent_unit", "", "point", "assumed", TEXT, "unit of priced_spent and least_spent")
    least_spent = Field("least_spent", "", "point", "modelled", NUMBER,
        "cost below which no plan reaches a wanted distortion")

    # Area
    area_m2 = Field("area_m2", "m2", "point", "modelled", or_null(between(1e-18, 1.0)),
        "weight memory with parity columns and codecs", "Area")
    array_area_m2 = Field("array_area_m2", "m2", "point", "modelled", NUMBER, "data array, stronger cells included")
    parity_area_m2 = Field("parity_area_m2", "m2", "point", "modelled", NUMBER, "parity columns")
    codec_area_m2 = Field("codec_area_m2", "m2", "point", "modelled", NUMBER, "encoders and decoders")
    codec_area_share = Field("codec_area_share", "%", "point", "modelled", NUMBER,
        "encoders and decoders / area", "Codec area")
    storage_area_m2 = Field("storage_area_m2", "m2", "point", "modelled", NUMBER,
        "scales, tables and decoders of the number format")
    area_low_m2 = Field("area_low_m2", "m2", "point", "modelled", NUMBER,
        "area at the low end of the cost model's band")
    area_high_m2 = Field("area_high_m2", "m2", "point", "modelled", NUMBER, "area at the high end")

    # Energy of one inference
    energy_per_inference_j = Field("energy_per_inference_j", "J", "point", "modelled", or_null(between(1e-18, 1e6)),
        "MACs, weight reads, codec, refresh, scrub, leakage", "Energy / inference")
    mac_energy_j = Field("mac_energy_j", "J", "point", "modelled", NUMBER, "multiply-accumulates")
    weight_read_energy_j = Field("weight_read_energy_j", "J", "point", "modelled", NUMBER, "reading the weights")
    codec_energy_j = Field("codec_energy_j", "J", "point", "modelled", NUMBER,
        "encoding and decoding at reads, refreshes and scrubs, and leakage of the codecs")
    codec_energy_share = Field("codec_energy_share", "%", "point", "modelled", NUMBER,
        "codec / energy per inference", "Codec energy")
    refresh_energy_j = Field("refresh_energy_j", "J", "point", "modelled", NUMBER, "refresh")
    scrub_energy_j = Field("scrub_energy_j", "J", "point", "modelled", NUMBER, "scrub")
    leakage_energy_j = Field("leakage_energy_j", "J", "point", "modelled", NUMBER, "leakage")
    storage_energy_j = Field("storage_energy_j", "J", "point", "modelled", NUMBER,
        "reading and decoding scales and tables")
    backing_energy_j = Field("backing_energy_j", "J", "point", "modelled", NUMBER,
        "weights streamed from the backing store")
    energy_low_j = Field("energy_low_j", "J", "point", "modelled", NUMBER,
        "energy at the low end of the cost model's band")
    energy_high_j = Field("energy_high_j", "J", "point", "modelled", NUMBER, "energy at the high end")

    # Latency
    read_latency_s = Field("read_latency_s", "s", "point", "modelled", NUMBER,
        "array access and decode of one word", "Read latency")
    read_latency_low_s = Field("read_latency_low_s", "s", "point", "modelled", NUMBER,
        "read latency at the low end of its band")
    read_latency_high_s = Field("read_latency_high_s", "s", "point", "modelled", NUMBER, "read latency at the high end")
    decode_latency_s = Field("decode_latency_s", "s", "point", "modelled", NUMBER,
        "decoding of what one access reads")
    compute_latency_s = Field("compute_latency_s", "s", "point", "modelled", NUMBER,
        "cycles of one inference over the clock")
    inference_latency_s = Field("inference_latency_s", "s", "point", "modelled", NUMBER,
        "one inference, waiting for weights included", "Inference latency")
    cycles_per_inference = Field("cycles_per_inference", "", "point", "modelled", NUMBER, "cycles of the accelerator")
    clock_hz = Field("clock_hz", "Hz", "point", "assumed", NUMBER, "clock of the accelerator")
    bank_busy_fraction = Field("bank_busy_fraction", "%", "point", "modelled", NUMBER,
        "share of its time that the busiest bank works")

    # Predictions, and inputs that tables show
    predicted_distortion = Field("predicted_distortion", "", "point", "modelled", NUMBER,
        "first-order output distortion of the protection plan (our derivation), squared logits", "Predicted distortion")
    rho_star = Field("rho_star", "", "point", "modelled", NUMBER,
        "overhead of uniform protection / overhead of TAC (our definition)", "ρ*")
    t_ox_m = Field("t_ox_m", "m", "point", "assumed", NUMBER, "oxide thickness", "t_ox")
    refresh_interval_s = Field("refresh_interval_s", "s", "point", "assumed", NUMBER,
        "refresh interval; a dash when off", "Refresh")

    # Over simulated time
    flips_raw_series = Field("flips_raw_series", "bits", "time", "measured", kinds.COUNTS,
        "data bits in error before decoding")
    flips_parity_series = Field("flips_parity_series", "bits", "time", "measured", kinds.COUNTS,
        "check bits in error before decoding")
    flips_residual_series = Field("flips_residual_series", "bits", "time", "measured", kinds.COUNTS,
        "weight bits wrong as read")
    words_corrected_series = Field("words_corrected_series", "words", "time", "measured", kinds.COUNTS,
        "words that this read-out corrected")
    words_uncorrectable_series = Field("words_uncorrectable_series", "words", "time", "measured", kinds.COUNTS,
        "words that this read-out flagged")
    scrub_corrected_series = Field("scrub_corrected_series", "words", "time", "measured", kinds.COUNTS,
        "words that scrubs corrected, from the first write on")
    refresh_corrected_series = Field("refresh_corrected_series", "words", "time", "measured", kinds.COUNTS,
        "words that refreshes corrected, from the first write on")
    corrections_uncorrectable_series = Field(
        "corrections_uncorrectable_series", "words", "time", "measured", kinds.COUNTS,
        "words that scrubs and refreshes found lost")
    words_reloaded_series = Field("words_reloaded_series", "words", "time", "measured", kinds.COUNTS,
        "how many of those were reloaded")
    reload_wait_s_series = Field("reload_wait_s_series", "s", "time", "modelled", kinds.TIMED,
        "time that one inference waits for words it finds lost")
    reload_s = Field("reload_s", "s", "map", "modelled", NUMBER, "time of all reloads, one word after another")
    reload_energy_j = Field("reload_energy_j", "J", "map", "modelled", kinds.TALLY,
        "energy of all reloads, not part of the energy of an inference")
    energy_series_j = Field("energy_series_j", "J", "point", "modelled", kinds.ENERGIES,
        "joules since the time before, by part: read, codec, refresh, scrub, reload, leakage")
    phases = Field("phases", "s", "point", "assumed", kinds.PHASES, "label, start and end of every phase")

    # Banks
    clock_slack_s = Field("clock_slack_s", "s", "point", "modelled", NUMBER,
        "clock period less read latency; below zero a read takes several cycles", "Clock slack")
    read_cycles = Field("read_cycles", "cycles", "point", "modelled", NUMBER, "cycles of a read")
    layer_slack_s = Field("layer_slack_s", "s", "point", "modelled", NUMBER,
        "least compute time less reading time of a layer; below zero the array waits for weights", "Layer slack")
    throughput_per_s = Field("throughput_per_s", "per s", "point", "modelled", NUMBER,
        "inferences back to back, stalls included", "Throughput")
    stalls = Field("stalls", "", "point", "modelled", NUMBER,
        "read bursts of a bank that a refresh pass held up", "Stalled reads")
    stall_s = Field("stall_s", "s", "point", "modelled", NUMBER,
        "time by which refresh passes moved read bursts, over all banks", "Stall time")
    availability = Field("availability", "%", "point", "modelled", NUMBER,
        "share of simulated time that refresh, scrub, rewriting and power-down leave to reads, mean over the banks",
        "Availability")
    refresh_bandwidth_share = Field("refresh_bandwidth_share", "%", "point", "modelled", NUMBER,
        "share of the banks' time in refresh passes", "Refresh bandwidth")
    scrub_bandwidth_share = Field("scrub_bandwidth_share", "%", "point", "modelled", NUMBER,
        "share of the banks' time in scrubs", "Scrub bandwidth")
    read_bandwidth_share = Field("read_bandwidth_share", "%", "point", "modelled", NUMBER,
        "share of the banks' time in reads")
    layer_table = Field("layer_table", "", "layer", "modelled", kinds.LAYER_TABLE,
        "by product: kind, size, cycles, MACs, weights read, compute, read and stall time, energy")
# fmt: on


FIELDS: Final[dict[str, Field]] = {str(row): row for row in vars(F).values() if isinstance(row, Field)}
NEEDED: Final = tuple(row for row in FIELDS.values() if row.needed)
COLUMNS: Final = tuple(row for row in FIELDS.values() if row.heading)
OF_A_MAP: Final = frozenset(row for row in FIELDS.values() if row.per in ("map", "time"))
SERIES: Final = tuple(row for row in FIELDS.values() if row.kind in (kinds.COUNTS, kinds.TIMED))
"""Lists of a fault map with a number per time."""
MEANS: Final = tuple(row for row in FIELDS.values() if row.kind is kinds.TALLY)
"""Numbers of a fault map whose mean over the maps says something."""
FORMER: Final[dict[str, Field]] = {
    "accuracy": F.score,
    "accuracy_series": F.score_series,
    "clean_accuracy": F.clean_score,
    "quantised_accuracy": F.quantised_score,
    "score": F.plan_score,
    "score_output": F.plan_score_output,
    "score_cost": F.plan_score_cost,
}
"""Names of fields in records of schema 1, and what they are called now."""
REUSED: Final[dict[str, Field]] = {"spent": F.priced_spent}
"""Names of schema 1 that mean something else now, and what their fields are called."""
