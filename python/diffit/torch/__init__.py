"""The networks as torch modules: for fine-tuning, hooks and export, in code of your own.

    import diffit.torch
    network = diffit.torch.load("fashion-mnist")     # ImageDiffiT or LatentDiffiT, in evaluation mode
    d = network.denoise(x, sigma=0.5, labels=y)      # with gradients
    network.save("mine.safetensors")                 # read by diffit.load() and `diffit sample -m`

They state in plain torch what the library computes, with the same names of parameters, and are slower than it.
"""

from ._layers import TMSA, Block, Mlp
from ._networks import ImageDiffiT, LatentDiffiT, load

__all__ = ["Block", "ImageDiffiT", "LatentDiffiT", "Mlp", "TMSA", "load"]
