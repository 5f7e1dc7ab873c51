"""Workers: an engine whose trials train in other processes, on this machine's devices (`local_pool`) or in a Ray cluster (`ray_pool`).

One process, the coordinator, asks the search and reports to it; workers turn a `TrialSpec` into a `TrainingRun` and keep nothing. Each
holds the data once and runs the engine of its device, which takes from a `RemoteSource` as it would from the search itself. Between the
two go two kinds of `messages`: a worker's events (it is ready, a metric at a rung, a run, weights) and the coordinator's `Commands`. The
`Dispatcher` keeps the coordinator's books, a `WorkerPool` carries the messages and sees to it that there are workers.

    search ← WorkersEngine(Dispatcher) ← WorkerPool: pipes or Ray → RemoteSource ← engine of one device

*The same study with any number of workers.* A run is a function of its specification, and a pruner's answer one of the trials that
were known when the trial was proposed, so neither depends on who trains or answers when. A worker that waits for an answer longer
than is worth it trains on; what it did after the evaluation where the trial ended is cut off (`truncated`).

*A lost worker.* Its trials are trained again under their own numbers, before all others, by any worker that has room; evaluations that
were reported are passed over. Several trials of one worker are suspects together, so a trial whose worker died twice is trained without
others beside it, and one whose worker dies a third time ends in its outcome (`Outcome.KILLED`). The loss of a machine, where Ray calls
it one, is no trial's fault.

*A worker that hangs.* A worker with nothing to say sends `Alive` every second or two. One that holds trials and has sent nothing for
`SILENCE` seconds, in which the coordinator listened, is ended and lost as any other: nothing that it might send later is read.

Pipes and not Ray on one machine: nothing listens on the network, no server outlives the study, workers start in the time that torch
takes to import, and there is nothing to install.
"""
