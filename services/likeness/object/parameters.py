"""Every number that tunes object search, with its unit and where it comes from."""

from __future__ import annotations

LONGEST_SIDE = 480
"""Pixels: photographs are shrunk to this before details are looked for, never enlarged beyond `SHORTEST_SIDE`."""
SHORTEST_SIDE = 320
"""Pixels: a smaller photograph is enlarged to this, since details are sought from a few pixels up. Of groceries on
shelves, whose product pictures are 198 pixels wide, 160 finds 75% at first place and 320 84%."""
MAX_DETAILS = 320
"""Details stored of a reference, spread over it."""
PROBE_DETAILS = 900
"""Details used of a probe, in which the object may be one thing among many: on shelf photographs of groceries 320
find 60% at first place, 800 75%, 1,200 no more than a few percent beyond."""
CLEARLY = 16.0
"""Spread from which a photograph agrees so clearly that its mirror image is not tried."""
BACKGROUND_NEAREST = 30
"""Nearest photographs of the background that show how similar to others a photograph is."""
UNCOMMON = 5
"""References in which a detail may be found before it counts for less: an object has about so many views."""
COARSE = 1.0
"""Power of its size by which the strength of a detail counts when they are chosen. Fine details are
the stronger, and the first to go when a photograph is blurred, pressed or made small: of mates attacked in three
ways at once 0 puts 87% at first place, 0.5 90% and 1 92%. Groceries on shelves are found equally well by all
three."""
GRID = 6
"""The photograph is divided into so many rows and columns, each of which may keep its share of details."""
CONTRAST = 0.01
"""Contrast under which SIFT drops an extremum; a quarter of Lowe's value, so that faint paintings have details."""

MAX_SIDE = 65535
"""Pixels of a side that a template can tell."""
SMALL_SIDE = 96
"""Pixels of the shorter side under which only the embedding is trusted."""
FEW_DETAILS = 40
"""Details under which only the embedding is trusted."""

LEAST_REGION = 24
"""Pixels of the shorter side of a region under which it shows nothing."""
BLANK_CONTRAST = 2.0
"""Standard deviation of grey levels under which a photograph is blank; a scan of white paper has about 1."""
SHARP_SIDE = 480
"""Pixels of the longer side at which sharpness is measured."""
BLURRED_UNDER = 3.0
"""Standard deviation of the Laplacian in grey levels; photographs have 10 to 60, blurred by 3 pixels 1 to 3."""

PART = 0.6
"""Share of both sides of a photograph that each of its corners takes, and of a probe its middle, embedded too."""
MOST = 0.75
"""Share of both sides of a probe that a larger middle takes: a frame around the object is often no more."""
SMALL_PARTS = ((0.5, 3), (0.4, 4))
"""Shares of both sides of a probe, and in how many rows of as many its parts of that size are embedded."""
SQUARE_COST = 0.05
"""What a cosine counts less of any square but that of the whole photograph as it is, on either side."""
MAX_BATCH, MAX_QUEUE = 16, 4096
"""Squares embedded together, and that may wait; a square is 77 KB."""
LEAST_SQUARES = 4
"""Squares that an idle core takes over at least."""

MATCH_RATIO = 0.92
"""Lowe's ratio of the nearest to the second nearest distance; looser than his 0.8 because matches are mutual."""
REPROJECTION = 5.0
"""Pixels at `LONGEST_SIDE` within which MAGSAC counts a match as an inlier, at most."""
MAX_ITERATIONS = 1000
CONFIDENCE = 0.999
AGREEING_TURN, AGREEING_OCTAVE = 35.0, 1.0
"""Degrees and doublings of size by which the details of one object may differ from the most frequent change."""
FEWEST_MATCHES = 5
FEWEST_INLIERS = 5
CHANCE_SPREAD = 4.0
"""Cells that inliers of photographs of different things often cover; evidence begins beyond. With 0 a stranger
with five of a photograph's details by chance comes long before a mate of which only the embedding tells: of mates
attacked in three ways at once 0 puts 90% at first place, 2 91%, 4 92% and 5 90%."""
LARGEST_SCALE = 12.0
"""Times by which an object may be larger in one photograph than in the other."""
LARGEST_SHEAR = 6.0
"""Ratio of the two singular values of the transform: a plate seen at 80 degrees."""

SAME_PLACE, SAME_CODE = 6.0, 90.0
"""Pixels at `LONGEST_SIDE`, and units of codes, within which a detail has its counterpart once the transform is
known. Of details at random 1 in 80 pairs has codes so near; of inliers 99 in 100."""
CELLS = 12
"""Rows and columns of cells whose rectangles are asked whether the photographs agree there, if they lie edge on
edge. Of 24 mates with text, banner and a picture over them 2 look like a frame, with 16 or 20 cells 3 to 6."""
FEW_IN_RECTANGLE, EXPECTED_IN_RECTANGLE = 0.06, 16.0
"""Share, of the details that would agree in a rectangle if as many did as elsewhere, up to which it is empty; and
how many must be expected: with 8, what few details agree through a moire leave such rectangles by chance."""
PLACE, PLACE_DETAIL = 40.0, 22.0
"""Pixels at `LONGEST_SIDE` around a detail that are asked whether the photographs agree there, and for which it
stands. 32 judges by too few details: more of what a blurred mate shows counts against it."""
FEW_IN_PLACE, EXPECTED_IN_PLACE, NEXT_TO_NOTHING = 3, 2.0, 0.15
"""Details of either photograph under which a place says nothing; how many must be expected to agree; and of those
the share up to which it is contradicted. From 3 expected ones on, frames with small print are missed."""
EDGE_ON_EDGE = 0.8
"""Share of the inliers that lie within `REPROJECTION` of where they are if two photographs lie edge on edge."""
SURROUNDED = 1.6
"""Times by which the share counts of what the inliers surround: no caption and seldom a sticker is among it. Of
mates attacked in one way the share reaches 0.1, of other things before one background 0.15 to 0.5."""
DOUBTED_FROM, CONTRADICTED_FROM, CONTRADICTED_ALL = 0.18, 0.25, 0.30
"""Share of what both should show that is contradicted: from the first on nothing is called strong and what agrees
counts for less, from the second on two photographs share no more than a frame, from the third on what agrees counts
for nothing. Other things in one frame have 0.4 to 0.9; where a picture takes a fifth of a page of print, 0.2 to
0.4. Of mates attacked in one way 99 in 100 have less than 0.2, but with text, banner and sticker over them one of
eight has more than 0.25."""

VOTE_NEIGHBOURS = 16
"""Nearest stored details asked for each detail of a probe."""
VOTING_DETAILS, VOTING_MIRRORED = 640, 240
"""Details of a probe, and of its mirror image, that vote; all take part in the comparison that follows."""
LEAST_PART = 12
"""Candidates that are worth a thread of their own."""
PROBES = 3
"""Inverted lists visited for each detail of a probe."""
NEAR, SLACK = 55.0, 15.0
"""Distance of two codes under which they may be of one place of one thing, and by how much it may exceed that of
the nearest. Nine in ten inliers of a photograph compressed hard are nearer than 54; of the details of an unrelated
photograph, the nearest of 320 is nearer than 62 in one of a hundred cases."""
WIDE_NEAR, WIDE_SLACK, SURE_FROM = 75.0, 30.0, 6
"""As `NEAR` and `SLACK`, of details that agree on one turn and scale with at least so many nearer ones of their
reference. Of objects before one background that 24 references show, the best stranger scores 0.7 less than with the
nearer ones alone, and its mate 0.3."""
ANGLE_BINS, SCALE_BINS = 12, 8
"""Bins of turn and of log2 scale in which the votes for one photograph must agree."""

SHORTLIST = 24
"""References that are verified at least for each way to candidates; verification takes some milliseconds each."""
SHORTLIST_MARGIN = 8
"""References beyond those asked for."""

CLUTTER_KNOWN_FROM = 8
"""References searched from which it is known what many of them share. Among fewer, and 1:1, nothing is called
strong: two objects before one background agree on all of it."""
