"""The compiled engine on a GPU: each trial is one block of threads, which trains it by itself from launch to launch.

`kernel` is a trial's updates as one Triton program, of `forward`, `losses` and `backward` with `language` as their common ground;
`tables` are what it reads and writes; `group` drives it from evaluation to evaluation.
"""
