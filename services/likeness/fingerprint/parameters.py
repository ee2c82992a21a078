"""Every number that tunes the exact comparison of minutiae: its unit and where it comes from.

MCC: R. Cappelli, M. Ferrara, D. Maltoni, "Minutia Cylinder-Code: a new representation and matching technique for
fingerprint recognition", IEEE TPAMI 32(12), 2010. Lengths are pixels at 500 dpi, angles radians.
"""

from __future__ import annotations

import math

DETAIL_VERSION = 4
"""Of the stored detail and of how it is compared; part of the template space. To be raised whenever a change here
or in the kernels moves bits or the scores of full comparisons, by which the scores are calibrated."""

SHORTLIST_PER_CANDIDATE, SHORTLIST_LEAST = 20, 400
"""References that the exact comparison takes from the shortlist for every candidate asked for, and at least.
Deeper finds more mates among a million (81% at 400, 83% at 1,000, 85% at 4,000) and takes as many times longer:
400 keep a search of a million under 150 ms on two cores (`benchmarks/fingerprint_speed.py`)."""

RECORDS_PER_TURN = 16
"""Records of a batch that are extracted in one turn at computing: 0.1 s of the slowest, ten prints each, so that
single requests need not wait longer."""

MAX_COORDINATE = 16384
"""Pixels from the origin within which minutiae lie: 83 cm, more than any card with impressions."""
MAX_MINUTIAE = 96
"""Minutiae of one template that take part in a comparison; the best by quality. With 128, strangers of whom both
have 80 or more matched falsely in 4.8% where all together did in 1%; with 96 in 2.1%, and mates were missed no more
often: what the others add is mostly spurious."""

TRUST_STEPS = 62
"""Steps in which a stored template keeps how much a minutia is trusted, 0..1: its place among the others of its
template by quality. Qualities of different extractors mean different things, their order means the same. An even
number of six bits, so that one half is one of them."""

# Cylinders: MCC, table 1, column MCC16b.
RADIUS = 70.0
"""R: radius of a cylinder's base."""
CELLS = 16
"""N_S: cells along the diameter of the base."""
SECTIONS = 6
"""N_D: sections along the height, each 2 pi / 6."""
SIGMA_SPACE = 28.0 / 3.0
"""sigma_S: spread of a neighbour's spatial contribution."""
SIGMA_DIRECTION = 2.0 * math.pi / 9.0
"""sigma_D: spread of a neighbour's directional contribution."""
BIT_THRESHOLD = 0.01
"""mu_Psi: a cell's bit is set where the contributions exceed this (equation 15)."""
HULL_MARGIN = 50.0
"""omega: cells outside the convex hull of all minutiae enlarged by this are not valid."""
MIN_VALID_CELLS = 0.75
"""min_VC: share of the cells in the base that must be valid for a cylinder to count."""
MIN_NEIGHBOURS = 2
"""min_M: minutiae that must contribute to a cylinder."""
MIN_MATCHABLE = 0.60
"""min_ME: share of the cells in the base that must be valid in both cylinders."""
MAX_TURN = math.pi / 2
"""delta_theta: largest difference of direction of two comparable minutiae."""

WORDS = CELLS * CELLS * SECTIONS // 64
MASK_WORDS = CELLS * CELLS // 64

# Relaxation: MCC, table 1.
MIN_PAIRS = 4
MAX_PAIRS = 12
MU_PAIRS = 20.0
TAU_PAIRS = 0.4
"""min_nP, max_nP, mu_P, tau_P: how many local similarities make the global one (equation 18)."""
RELAX_WEIGHT = 0.5
RELAX_STEPS = 5
"""w_R, n_rel: weight of the old similarity and number of steps of the relaxation (equation 22)."""
MU_DISTANCE = 5.0
TAU_DISTANCE = -8.0 / 5.0
MU_ANGLE = math.pi / 12
TAU_ANGLE = -30.0
"""mu_rho and tau_rho of the three compatibilities: distance, direction, radial angle (equation 24)."""
FAR_APART, FAR_TURNED = 14.0, 0.75
"""Differences of distance, and of direction and radial angle, from which two pairs are not compatible at all."""

DOUBT = 0.3
"""Share of its similarity that a cylinder loses where its minutia is trusted least, before pairs are chosen. Chosen
on the development templates: with .2 or .4 mates are missed .2 to .6 points more often at an FMR of 0.1%."""

# Cascade.
CORE = 40
"""Minutiae of either side that the cheap stage looks at, a multiple of 8 as vectors of words are. With 32 the equal
error rate through the cascade rises from 4.7% to over 5% for one extractor; with all, 90 minutiae take twice as
long as 40."""
CORE_REACH = 600.0
"""Pixels from the middle of a template that cost a minutia as much as being trusted least."""
SCREENED_PAIRS, SCREEN_SEEDS = MAX_PAIRS, 2
"""Best local similarities that the cheap stage relaxes, no fewer than make a global one, and how many of them
propose a motion in it."""
CASCADE_FROM = 20
"""Minutiae that both sides must have to be left out early: smaller templates show too little, and cost little."""
CASCADE_SHARE = 0.05
"""Of a list, what the cheap stage passes on to the full comparison in addition to all that seem mates: its best. A
share and not a threshold, since of dense templates half of all strangers exceed one that a tenth of others does.
With .06 or .03 as many mates reach the first place; of `SHORTLIST_PER_CANDIDATE` it leaves one, so that all
candidates that are answered were compared in full."""
CASCADE_SURE = 0.001
"""Share of strangers that exceed the level above which every candidate is compared in full."""
CASCADE_LIST = 256
"""Candidates from which the cheap stage may leave some out; a shorter list, and a 1:1 comparison, is compared in
full."""
REJECTED_AT = -6.0
"""Log-odds that no candidate left out early exceeds. Of strangers compared in full one in 20 scores less, of mates
of `CASCADE_FROM` minutiae or more none did."""

# Consensus.
SEEDS = 12
"""Relaxed pairs that each propose a rigid motion."""
PAIR_NEAR, PAIR_GROWTH, PAIR_FAR = 9.0, 0.09, 22.0
"""Pixels within which minutiae pair under a proposed motion: next to the seed, per pixel from it, and at most."""
PAIR_ANGLE = math.radians(28.0)
"""Difference of direction within which minutiae pair."""
PAIR_REFINED = 15.0
"""Pixels within which minutiae pair once the motion is refined and bent."""
PAIR_FLOOR = 0.2
"""What a pair counts by its place alone; its cylinders' similarity, 0..1 and less by `DOUBT`, is added."""
PAIR_TRUST_LEAST = 0.6
"""What a pair counts where one of its minutiae is trusted least; at a trust of one half it counts 1. Chosen as
`DOUBT` was: with .3 mates are missed .4 to 1 point more often."""
PAIR_KIND = 0.25
"""Share by which a pair counts more where both are endings or both bifurcations, and less where they differ: of
mates' pairs 70 to 73% agree (two extractors), of strangers' 51 to 55%."""
BEND_LENGTH = 55.0
"""Pixels over which skin stretches evenly; 50 was measured on real templates."""
BEND_PRIOR = 1.0
"""Weight of no displacement at all against the neighbours' displacements."""
OVERLAP_MARGIN = 12.0
"""Pixels by which the hull of the minutiae understates what an impression shows."""
# The evidence of a pair of the consensus.
MIN_OVERLAP_AREA = 2000.0
"""Square pixels; a smaller overlap is taken for this, which bounds its density of minutiae."""
RESIDUAL_NEAR, RESIDUAL_WIDE, RESIDUAL_WIDE_SHARE = 4.0, 8.0, 0.15
"""Pixels: two spreads of mates' residuals and the share of the wider; 4 px jitter with a tail was measured."""
ANGLE_CORE, ANGLE_TAIL, ANGLE_TAIL_SHARE = 0.12, 0.35, 0.2
"""Radians: two spreads of mates' difference of direction and the share of the wider; 6 degrees with a tail to 22
at the 95th percentile was measured."""
SIMILAR_FROM = 0.35
"""Local similarity that strangers' cylinders reach as a rule; what exceeds it counts for a pair."""
