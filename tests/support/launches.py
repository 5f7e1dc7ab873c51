"""What a device is given to do: operations of torch that compute, of which each is a launch or more."""

from collections import Counter
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

ALLOCATIONS = ("aten::empty", "aten::new_empty", "aten::empty_like", "aten::empty_strided")


class Launches(TorchDispatchMode):
    """Counts operations by their names: neither views, allocations of memory nor marks for a profiler, which launch nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is without annotations
        self.names: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """All of them."""
        return self.names.total()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        name = operation.name().split(".")[0]
        launches = operation.namespace != "profiler" and name not in ALLOCATIONS
        if launches and not _is_view(operation):
            self.names[name] += 1
        return operation(*arguments, **(keywords or {}))


def _is_view(operation: Any) -> bool:
    """Whether an operation only looks at memory in another way."""
    returned = operation._schema.returns
    return any(value.alias_info is not None and not value.alias_info.is_write for value in returned)
