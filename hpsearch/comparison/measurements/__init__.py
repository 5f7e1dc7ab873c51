"""Measurements of a network at given weights, and of the path that led there: why a batch size behaves as it does.

`state` is the common ground: weights as one vector, and the loss there. `noise` compares the gradients of rows and batches with that of
all rows (noise scale, variance, angle); `stability` says how steady and how direct a run was, and how sharp the loss is (the largest
eigenvalue of the Hessian); `landscape` has the loss on planes and lines; `textbook` is a problem of two weights on real data, whose
loss surface can be drawn exactly, and `descent` the paths down it.

Dropout is off in all of them: they measure the loss that is a function of only weights and rows. They compute in the precision and
on the device of the rows, and no function depends on global random state.
"""
