"""Tensors in and out of the library by DLPack, without a copy."""

from __future__ import annotations

import ctypes

from . import _library
from ._errors import InvalidError

_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_api.PyCapsule_IsValid.restype = ctypes.c_int
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
_NEW, _USED = b"dltensor", b"used_dltensor"
_GetPointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_IsValid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))


class _Managed(ctypes.Structure):
    """DLManagedTensor of dlpack.h."""

    class Tensor(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                    ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                    ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                    ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]

    _fields_ = [("tensor", Tensor), ("manager", ctypes.c_void_p),
                ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


def delete(pointer: int) -> None:
    """Ends a DLManagedTensor that nobody has taken."""
    _Managed.from_address(pointer).deleter(pointer)


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _drop_capsule(capsule):
    """Destructor of capsules: ends the tensor unless a consumer has taken it, which renames the capsule."""
    if _IsValid(capsule, _NEW):
        delete(_GetPointer(capsule, _NEW))


class Exported:
    """A tensor of the library for one consumer: ``np.from_dlpack`` or ``torch.from_dlpack``."""

    def __init__(self, pointer: int):
        self._pointer = pointer
        tensor = _Managed.from_address(pointer).tensor
        self._device = (tensor.device_type, tensor.device_id)

    def __dlpack__(self, **_):
        pointer, self._pointer = self._pointer, None
        if pointer is None:
            raise BufferError("the tensor has been taken already")
        return _api.PyCapsule_New(pointer, _NEW, ctypes.cast(_drop_capsule, ctypes.c_void_p))

    def __dlpack_device__(self):
        return self._device

    def __del__(self):
        if getattr(self, "_pointer", None) is not None:
            delete(self._pointer)


def is_torch(value: object) -> bool:
    """Whether it is a torch tensor, without importing torch."""
    return type(value).__module__.partition(".")[0] == "torch" or any(
        base.__module__.partition(".")[0] == "torch" and base.__name__ == "Tensor" for base in type(value).__mro__)


def export(pointer: int, as_torch: bool):
    """The tensor at a DLManagedTensor as an array of NumPy or a tensor of torch that owns it."""
    exported = Exported(pointer)
    if as_torch:
        import torch
        return torch.from_dlpack(exported)
    import numpy
    return _writable(numpy, exported)


def _writable(numpy, exported):
    array = numpy.from_dlpack(exported)
    if not array.flags.writeable:  # NumPy marks what came by DLPack as read-only; nobody else has this memory
        pointer = array.__array_interface__["data"][0]
        kind = numpy.ctypeslib.as_ctypes_type(array.dtype)
        memory = (kind * array.size).from_address(pointer)
        memory._owner = array
        array = numpy.frombuffer(memory, dtype=array.dtype).reshape(array.shape)
    return array


def take(value: object, name: str) -> int:
    """The DLManagedTensor of an array or tensor, for a function that takes ownership of it."""
    if is_torch(value):
        if value.requires_grad:
            raise InvalidError(f"`{name}`: wanted a tensor without gradient; pass {name}.detach()", name)
    elif (flags := getattr(value, "flags", None)) is not None and getattr(flags, "writeable", True) is False:
        raise InvalidError(f"`{name}`: the array is read-only; pass {name}.copy()", name)
    try:
        capsule = value.__dlpack__()
    except Exception as error:
        raise InvalidError(f"`{name}`: wanted an array of NumPy or a tensor of torch, got {type(value).__name__} that "
                           f"cannot be shared: {error}", name) from None
    if not _IsValid(id(capsule), _NEW):
        raise InvalidError(f"`{name}`: {type(value).__name__} cannot be shared by DLPack", name)
    pointer = _GetPointer(id(capsule), _NEW)
    _api.PyCapsule_SetName(capsule, _USED)
    return pointer


def result_tensors(library: "_library.Library", result, as_torch: bool) -> list:
    """The tensors of a diffit_result."""
    found = []
    for index in range(library.result_tensors(result)):
        pointer = ctypes.c_void_p()
        library.check(library.result_tensor(result, index, ctypes.byref(pointer)))
        found.append(export(pointer.value, as_torch))
    return found
