"""What the passes of the GPU's kernel share: tiles of matrices of any size, their products, a layer's row in its trial's table."""

from hpsearch.training.compiled.triton_compiled import compiled, tl


@compiled
def tile(row: tl.tensor, column: tl.tensor, rows: tl.tensor, columns: tl.tensor) -> tl.tuple:
    """Return offsets and mask of some rows and columns of a matrix [rows, columns]."""
    return row[:, None] * columns + column[None, :], (row[:, None] < rows) & (column[None, :] < columns)


@compiled
def product(left: tl.tensor, right: tl.tensor) -> tl.tensor:
    """Return the matrix product of [m, k] and [k, n], in full precision; `tl.dot` wants more rows than tiny batches have."""
    if left.shape[1] == 1:
        return left * right
    return tl.sum(left[:, :, None] * right[None, :, :], axis=1)


@compiled
def layer_of(layers: tl.tensor, layer: tl.tensor) -> tl.tuple:
    """Return a layer's inputs and units, and where its weights, its inputs' and its units' values begin; `triton_tables.layers`."""
    row = layers + 5 * layer
    a, b = tl.load(row).to(tl.int32), tl.load(row + 1).to(tl.int32)
    return a, b, tl.load(row + 2), tl.load(row + 3), tl.load(row + 4)
