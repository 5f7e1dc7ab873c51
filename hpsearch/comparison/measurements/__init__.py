"""Measurements of a network at given weights, and of the path that led there: why a batch size behaves as it does.

`state` is the common ground: weights as one vector, and the loss there. `gradients` has the gradient of all rows, of each row and of
batches; `noise` compares those (noise scale, variance, angle to the step of gradient descent); `curvature` has the Hessian's ends;
`paths` and `landscape` tell how straight and how steady a run was, and draw it; `textbook` is a problem of two weights on real data,
whose loss surface can be drawn exactly, and `descent` the paths down it.

Dropout is off in all of them: they measure the loss that is a function of weights and rows alone. They compute in the precision and
on the device of the rows, and no function looks at global random state.
"""
