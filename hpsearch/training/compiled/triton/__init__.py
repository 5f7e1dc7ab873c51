"""The compiled engine on a GPU: each trial is one block of threads, which trains it by itself from launch to launch.

`kernel` is a trial's updates as one Triton program, losses included, `network` goes forward and backward in it, `language` is their
common ground; `tables` are what it reads and writes; `group` drives it from evaluation to evaluation.
"""
