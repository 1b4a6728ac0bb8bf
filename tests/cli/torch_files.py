"""Files as torch.save writes them, without torch: a stored zip of a pickle and storages."""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np


def _module(name, **names):
    module = types.ModuleType(name)
    for key, value in names.items():
        value.__module__ = name
        value.__qualname__ = key
        setattr(module, key, value)
    return module


def _rebuild_tensor_v2(*_):
    raise RuntimeError


class FloatStorage:
    pass


class HalfStorage:
    pass


class ModelCheckpoint:
    """What a trainer leaves beside the weights: an object of a class that nobody else has."""

    def __init__(self):
        self.monitor, self.best = "val/loss", {1, 2}


_MODULES = {"torch": _module("torch", FloatStorage=FloatStorage, HalfStorage=HalfStorage),
            "torch._utils": _module("torch._utils", _rebuild_tensor_v2=_rebuild_tensor_v2),
            "lightning": types.ModuleType("lightning"),
            "lightning.callbacks": _module("lightning.callbacks", ModelCheckpoint=ModelCheckpoint)}


class _Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class _Tensor:
    def __init__(self, key, array):
        self.storage = _Storage(key, np.ascontiguousarray(array))

    def __reduce__(self):
        array = self.storage.array
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return _rebuild_tensor_v2, (self.storage, 0, array.shape, strides, False, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if not isinstance(value, _Storage):
            return None
        kind = HalfStorage if value.array.dtype == np.float16 else FloatStorage
        return "storage", kind, value.key, "cpu", value.array.size


def state_dict(arrays, first=0):
    """Tensors whose storages are numbered from `first` on."""
    return collections.OrderedDict((name, _Tensor(str(first + i), np.asarray(array)))
                                   for i, (name, array) in enumerate(arrays.items()))


def save(path, content, dicts, protocol=2):
    """`content` as torch.save writes it; `dicts` are the state dicts in it."""
    before = {name: sys.modules.get(name) for name in _MODULES}
    sys.modules.update(_MODULES)
    try:
        body = io.BytesIO()
        _Pickler(body, protocol).dump(content)
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", body.getvalue())
        for tensors in dicts:
            for tensor in tensors.values():
                archive.writestr(f"archive/data/{tensor.storage.key}", tensor.storage.array.tobytes())
        archive.writestr("archive/version", b"3\n")
