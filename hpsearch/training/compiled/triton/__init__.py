"""The compiled engine on a GPU: an update of many trials is a few launches, of which each computes one layer of all of them, unpadded.

`kernels` are these launches as Triton programs, `elementwise` their parts that act on single numbers, `language` their common ground;
`tables` are what they read and write; `step` launches them for one update or evaluation; `group` drives it from evaluation to evaluation.
"""
