"""In-place forms that are nothing but their functions, stored: cumsum_, addmm_, logit_ ..."""

from ._common import in_place
from .complex import conj_physical, sgn
from .elementwise import atan2, logical_xor
from .matmul import addbmm, addmm, addmv, addr, baddbmm
from .reduce import cumprod, cumsum
from .shape import transpose_
from .special import igamma, igammac, mvlgamma, polygamma
from .statistics import renorm
from .unary import deg2rad, logit, rad2deg


def _form(op):
    def inplace(self, *args, **keywords):
        return in_place(self, lambda t, *a: op(t, *a, **keywords), *args)

    inplace.__name__ = inplace.__qualname__ = op.__name__ + "_"
    inplace.__doc__ = f"{op.__name__}, in place."
    return inplace


addbmm_, addmm_, addmv_, addr_, baddbmm_ = map(_form, (addbmm, addmm, addmv, addr, baddbmm))
atan2_, logical_xor_, cumprod_, cumsum_, sgn_ = map(_form, (atan2, logical_xor, cumprod, cumsum, sgn))
igamma_, igammac_, mvlgamma_, renorm_ = map(_form, (igamma, igammac, mvlgamma, renorm))
deg2rad_, logit_, rad2deg_, conj_physical_ = map(_form, (deg2rad, logit, rad2deg, conj_physical))


def polygamma_(self, n):
    """polygamma, in place."""
    return in_place(self, lambda t: polygamma(n, t))


def swapaxes_(self, axis0, axis1):
    """transpose_ under NumPy's name."""
    return transpose_(self, axis0, axis1)


__all__ = [
    "addbmm_", "addmm_", "addmv_", "addr_", "atan2_", "baddbmm_", "conj_physical_", "cumprod_", "cumsum_", "deg2rad_",
    "igamma_", "igammac_", "logical_xor_", "logit_", "mvlgamma_", "polygamma_", "rad2deg_", "renorm_", "sgn_",
    "swapaxes_",
]  # fmt: skip
