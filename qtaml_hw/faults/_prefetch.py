"""Ask for a cache line ahead of its use: LLVM's prefetch, which numba has no name for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_READ_WRITE, _NEAR, _DATA = 1, 3, 1


def _prefetch(_context: Any, array: Any, index: Any) -> Any:
    """Bring the line of ``array[index]`` near, to be written; an index outside the array does no harm."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.gep(data, [arguments[1]])
        address = builder.bitcast(address, cgutils.voidptr_t)
        word = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [cgutils.voidptr_t], ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        )
        builder.call(function, [address, word(_READ_WRITE), word(_NEAR), word(_DATA)])
        return context.get_dummy_value()

    return types.void(array, index), code


prefetch: Any = intrinsic(_prefetch)
