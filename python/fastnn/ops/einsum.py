"""Sums of products over named dimensions, brought to batched matrix products: einsum, tensordot, inner, kron."""

from ..tensor import Tensor, check_dim
from .arrange import diagonal
from .elementwise import mul
from .matmul import bmm, matmul
from .reduce import sum as sum_
from .shape import permute, reshape, unsqueeze

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(equation, *operands):
    """Σ over the letters that the output does not name, of the product of the operands: einsum('ij,jk->ik', a, b).

    The form einsum(a, [0, 1], b, [1, 2], [0, 2]) with dimensions as numbers is taken too. Raises RuntimeError for an
    equation that does not fit the operands' dimensions or sizes."""
    if isinstance(equation, Tensor):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = operands[0]
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): argument 'equation' must be str, not {type(equation).__name__}")
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    inputs, output = _parse(equation, operands)
    sizes = {}
    terms = []
    for i, (t, names) in enumerate(zip(operands, inputs, strict=True)):
        for name, n in zip(names, t._a.shape, strict=True):
            known = sizes.get(name, 1)
            if n != known and n != 1 and known != 1:
                raise RuntimeError(
                    f"einsum(): subscript {name if isinstance(name, str) else '...'} has size {n} for operand {i} which "
                    f"does not broadcast with previously seen size {known}"
                )
            if n != 1 or name not in sizes:
                sizes[name] = n
        terms.append(_without_repeats(t, names, i))
    for i, (t, names) in enumerate(terms):  # a size of 1 that stands for more is summed over nothing: drop it
        drop = [d for d, name in enumerate(names) if t._a.shape[d] == 1 and sizes[name] != 1]
        if drop:
            shape = tuple(n for d, n in enumerate(t._a.shape) if d not in drop)
            terms[i] = reshape(t, shape), [n for d, n in enumerate(names) if d not in drop]
    left, names = terms[0]
    for i in range(1, len(terms)):
        wanted = set(output).union(*(n for _, n in terms[i + 1 :]))
        left, names = _pair(left, names, *terms[i], wanted)
    return _arrange(left, names, output, sizes)


def _from_lists(arguments):
    tensors, lists, output = arguments[0::2], arguments[1::2], None
    if len(arguments) % 2:
        *tensors, output = tensors

    def letters(sub):
        out = []
        for s in sub:
            if s is Ellipsis:
                out.append("...")
            elif isinstance(s, int) and 0 <= s < 52:
                out.append(_LETTERS[s])
            else:
                raise RuntimeError(f"einsum(): expected subscripts within the range [0, 52), but got {s}")
        return "".join(out)

    equation = ",".join(map(letters, lists))
    return (equation if output is None else f"{equation}->{letters(output)}"), tuple(tensors)


def _parse(equation, operands):
    """Each operand's dimensions by name (letters, and numbers counted from the last for '...'), and the output's."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        more = "fewer" if len(parts) > len(operands) else "more"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation")
    for c in (left + right).replace("...", ""):
        if c not in _LETTERS and c != ",":
            raise RuntimeError(f"einsum(): invalid subscript given at index {equation.find(c)} in the equation string, "
                               "subscripts must be in [a-zA-Z]")  # fmt: skip
    inputs, widest = [], 0
    for i, (part, t) in enumerate(zip(parts, operands, strict=True)):
        if not isinstance(t, Tensor):
            raise TypeError(f"einsum(): expected Tensor as operand {i}, but got {type(t).__name__}")
        n = t._a.ndim
        head, dots, tail = part.partition("...")
        if "..." in tail:
            raise RuntimeError(f"einsum(): found '.' for operand {i} for which an ellipsis was already found")
        named = len(head) + len(tail)
        if (named > n) if dots else (named != n):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) {'is more than' if dots else 'does not match'} "
                f"the number of dimensions ({n}) for operand {i}{'' if dots else ' and no ellipsis was given'}"
            )
        inputs.append([*head, *range(named - n, 0), *tail] if dots else [*head])
        widest = max(widest, n - named if dots else 0)
    free = list(range(-widest, 0))
    if arrow:
        head, dots, tail = right.partition("...")
        output = [*head, *free, *tail] if dots else [*head]
    else:
        letters = left.replace(",", "").replace("...", "")
        output = [*free, *sorted(c for c in set(letters) if letters.count(c) == 1)]
    for name in output:
        if output.count(name) > 1:
            raise RuntimeError(f"einsum(): output subscript {name} appears more than once in the output")
        if isinstance(name, str) and not any(name in names for names in inputs):
            raise RuntimeError(
                f"einsum(): output subscript {name} does not appear in the equation for any input operand"
            )
    return inputs, output


def _without_repeats(t, names, i):
    """A name that occurs twice in one operand takes its diagonal."""
    names = list(names)
    for name in sorted(set(map(str, names))):
        name = name if name in names else int(name)
        while names.count(name) > 1:
            a = names.index(name)
            b = names.index(name, a + 1)
            if t._a.shape[a] != t._a.shape[b]:
                raise RuntimeError(
                    f"einsum(): subscript {name} is repeated for operand {i} but the sizes don't match, "
                    f"{t._a.shape[b]} != {t._a.shape[a]}"
                )
            t = diagonal(t, 0, a, b)
            names = names[:a] + names[a + 1 : b] + names[b + 1 :] + [name]
    return t, names


def _summed(t, names, keep):
    drop = [d for d, name in enumerate(names) if name not in keep]
    return (sum_(t, drop), [n for n in names if n in keep]) if drop else (t, names)


def _pair(a, an, b, bn, wanted):
    """The product of two operands as one batched matrix product: shared and wanted names are its batch, shared and
    unwanted ones its inner dimension."""
    a, an = _summed(a, an, wanted.union(bn))
    b, bn = _summed(b, bn, wanted.union(an))
    batch = [n for n in an if n in bn and n in wanted]
    inner = [n for n in an if n in bn and n not in wanted]
    rows, cols = [n for n in an if n not in bn], [n for n in bn if n not in an]
    sizes = {**dict(zip(an, a._a.shape, strict=True)), **dict(zip(bn, b._a.shape, strict=True))}
    if not inner:  # nothing to sum: an elementwise product of what broadcasts
        out = batch + rows + cols
        return mul(_spread(a, an, out), _spread(b, bn, out)), out
    count = [_count(sizes, group) for group in (batch, rows, inner, cols)]
    x = reshape(_ordered(a, an, batch + rows + inner), (count[0], count[1], count[2]))
    y = reshape(_ordered(b, bn, batch + inner + cols), (count[0], count[2], count[3]))
    r = bmm(x, y) if batch else unsqueeze(matmul(reshape(x, x._a.shape[1:]), reshape(y, y._a.shape[1:])), 0)
    out = batch + rows + cols
    return reshape(r, tuple(sizes[n] for n in out)), out


def _count(sizes, names):
    n = 1
    for name in names:
        n *= sizes[name]
    return n


def _ordered(t, names, order):
    return t if names == order else permute(t, [names.index(n) for n in order])


def _spread(t, names, out):
    """t with its dimensions in the order of `out`, and 1 for those that it lacks."""
    have = [n for n in out if n in names]
    t = _ordered(t, names, have)
    sizes = dict(zip(have, t._a.shape, strict=True))
    return reshape(t, tuple(sizes.get(n, 1) for n in out))


def _arrange(t, names, output, sizes):
    t, names = _summed(t, names, set(output))
    missing = [n for n in output if n not in names]
    for n in missing:  # only of size 1: names with more were kept
        t, names = unsqueeze(t, -1), [*names, n]
    return _ordered(t, names, output)


# ---------------------------------------------------------------- products over dimensions by number


def tensordot(a, b, dims=2, out=None):
    """Σ over pairs of dimensions: the last `dims` of a with the first of b, or the two lists of dimensions given."""
    from ._common import write_out

    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a._a.ndim, b._a.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        da, db = list(range(a._a.ndim - dims, a._a.ndim)), list(range(dims))
    else:
        da, db = ([v] if isinstance(v, int) else list(v) for v in dims)
    da, db = [check_dim(d, a._a.ndim) for d in da], [check_dim(d, b._a.ndim) for d in db]
    if len(da) != len(db):
        raise RuntimeError(f"both dimension lists should have the same length, got {len(da)} and {len(db)}")
    shared = -1
    an, bn = [f"a{i}" for i in range(a._a.ndim)], [f"b{i}" for i in range(b._a.ndim)]
    for i, j in zip(da, db, strict=True):
        m, n = a._a.shape[i], b._a.shape[j]
        if m != n and m != 1 and n != 1:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {m} in dim {i} and second has size {n} in dim {j}"
            )
        if m != n:
            a, b = (sum_(a, i, True), b) if n == 1 else (a, sum_(b, j, True))
        an[i] = bn[j] = shared
        shared -= 1
    if a._a.dtype != b._a.dtype:
        raise RuntimeError("both inputs should have same dtype")
    output = [n for n in an + bn if isinstance(n, str)]
    r, names = _pair(a, an, b, bn, set(output))
    r = _ordered(r, names, output)
    return r if out is None else write_out(out, r)


def inner(input, other, *, out=None):
    """Σ over the last dimension of both; a plain product where either has none."""
    from ._common import write_out

    if input._a.ndim == 0 or other._a.ndim == 0:
        r = mul(input, other)
    else:
        if input._a.shape[-1] != other._a.shape[-1]:
            raise RuntimeError(
                f"inner() the last dimension must match on both input tensors but got shapes {list(input._a.shape)} and "
                f"{list(other._a.shape)}"
            )
        r = tensordot(input, other, ([-1], [-1]))
    return r if out is None else write_out(out, r)


def kron(input, other, *, out=None):
    """The Kronecker product: every element of input times the whole of other."""
    from ._common import write_out

    n = max(input._a.ndim, other._a.ndim)
    s = (1,) * (n - input._a.ndim) + input._a.shape
    o = (1,) * (n - other._a.ndim) + other._a.shape
    x = reshape(input, tuple(v for p in zip(s, (1,) * n, strict=True) for v in p))
    y = reshape(other, tuple(v for p in zip((1,) * n, o, strict=True) for v in p))
    r = reshape(mul(x, y), tuple(i * j for i, j in zip(s, o, strict=True)))
    return r if out is None else write_out(out, r)
