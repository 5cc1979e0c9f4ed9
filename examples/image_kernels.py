"""Row 7: convolution kernels on a photograph, and the arithmetic of convolution.

Edges, sharpening, blur and emboss on scikit-learn's photograph of a temple, each equal to SciPy's; stride, padding,
dilation, transposed and 1 x 1 convolution with the notes' formulas for size, parameters and cost; shifting the image shifts
the result.
"""

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
KERNELS = {
    "edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "Sobel, upright edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "blur": [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
}


def size_after(n, kernel, stride=1, padding=0, dilation=1):
    """The notes: (before - kernel + 2 padding) / stride + 1, the kernel widened by dilation."""
    return (n - dilation * (kernel - 1) - 1 + 2 * padding) // stride + 1


def size_back(n, kernel, stride=1, padding=0, extra=0):
    """Transposed: the same the other way round."""
    return (n - 1) * stride - 2 * padding + kernel + extra


def filters(report, photo):
    signal = common.need("scipy.signal")
    grey = photo.mean(0)
    shown = {"photograph": grey}
    for name, rows in KERNELS.items():
        kernel = torch.tensor(rows, dtype=torch.float64)
        ours = F.conv2d(grey[None, None], kernel[None, None], padding=1)[0, 0]
        theirs = signal.correlate2d(grey.numpy(), kernel.numpy(), mode="same")
        report.claim(f"{name}: apart from SciPy's by", float(abs(ours.numpy() - theirs).max()), "<=", 1e-12, digits=2)
        shown[name] = ours
    # What is called convolution here is correlation: SciPy's convolution has the kernel turned round.
    kernel = torch.tensor(KERNELS["emboss"], dtype=torch.float64)
    turned = F.conv2d(grey[None, None], kernel.flip(0, 1)[None, None], padding=1)[0, 0]
    apart = float(abs(turned.numpy() - signal.convolve2d(grey.numpy(), kernel.numpy(), mode="same")).max())
    report.claim("turned kernel: apart from SciPy's convolve2d by", apart, "<=", 1e-12, digits=2)
    return shown


def sizes(report, photo):
    ok = count = 0
    for n in (7, 10, 28, 33):
        x = torch.randn(1, 3, n, n)
        for kernel, stride, padding, dilation in (
            (1, 1, 0, 1),
            (3, 2, 0, 1),
            (3, 1, 1, 1),
            (5, 3, 2, 1),
            (3, 1, 0, 2),
            (3, 2, 2, 3),
        ):
            layer = nn.Conv2d(3, 4, kernel, stride, padding, dilation)
            ok += layer(x).shape == (1, 4, *[size_after(n, kernel, stride, padding, dilation)] * 2)
            if dilation == 1:
                back = nn.ConvTranspose2d(3, 4, kernel, stride, padding)
                ok += back(x).shape == (1, 4, *[size_back(n, kernel, stride, padding)] * 2)
                count += 1
            count += 1
    report.check("output sizes as the formulas say", ok == count, f"{ok} of {count}")
    report.check(
        "the notes' 7 x 7 x 3, kernel 3, stride 2",
        size_after(7, 3, 2) == 3,
        f"{size_after(7, 3, 2)} x {size_after(7, 3, 2)}",
    )

    rows = [("kernel", "channels", "stride", "padding", "side", "parameters", "multiplications")]
    right = True
    side, channels = 28, 1
    for kernel, out, stride, padding in ((5, 6, 1, 2), (3, 16, 2, 1), (1, 8, 1, 0), (3, 32, 1, 1)):
        layer = nn.Conv2d(channels, out, kernel, stride, padding)
        after = size_after(side, kernel, stride, padding)
        parameters = kernel**2 * channels * out + out  # space: K^2 C_in C_out, and a bias for each output
        cost = after**2 * kernel**2 * channels * out  # time: M^2 K^2 C_in C_out
        right &= sum(p.numel() for p in layer.parameters()) == parameters
        # The cost, counted: each output is one product of a patch with a kernel.
        patches = F.unfold(torch.ones(1, channels, side, side), kernel, padding=padding, stride=stride)
        right &= patches.shape[1] * patches.shape[2] * out == cost
        rows.append(
            (f"{kernel} x {kernel}", f"{channels} -> {out}", stride, padding, f"{side} -> {after}", parameters, cost)
        )
        side, channels = after, out
    for row in rows:
        print("  ".join(str(c).rjust(15) for c in row))
    report.check("parameters and cost as the formulas say", bool(right))
    dense = 28 * 28 * 28 * 28 * 6
    report.claim("a dense layer in the first one's place: times as many weights", dense / (25 * 6), ">=", 1000)


def properties(report, photo):
    x = photo[None, :, 100:164, 100:164]
    layer = nn.Conv2d(3, 4, 3).double()
    with torch.no_grad():
        moved = layer(torch.roll(x, (5, 9), (2, 3)))[..., 5:, 9:]
        apart = float((moved - layer(x)[..., :-5, :-9]).abs().max())
    report.claim("translation: filter of the moved against the filtered moved", apart, "<=", 1e-12, digits=2)
    point = nn.Conv2d(3, 5, 1, bias=False).double()
    with torch.no_grad():
        mixed = torch.einsum("oc,nchw->nohw", point.weight[:, :, 0, 0], x)
        apart = float((point(x) - mixed).abs().max())
    report.claim("1 x 1: a matrix on the channels of each pixel, apart by", apart, "<=", 1e-12, digits=2)
    w, small, large = (
        torch.randn(2, 3, 3, 3).double(),
        torch.randn(1, 2, 31, 31).double(),
        torch.randn(1, 3, 63, 63).double(),
    )
    left = (F.conv2d(large, w, stride=2) * small).sum()
    right = (large * F.conv_transpose2d(small, w, stride=2)).sum()
    report.claim(
        "transposed: <conv x, y> = <x, transposed y>, apart by", float(abs(left - right)), "<=", 1e-9, digits=2
    )
    spread = torch.zeros(2, 3, 5, 5).double()
    spread[:, :, ::2, ::2] = w
    apart = float((F.conv2d(x, w, dilation=2) - F.conv2d(x, spread)).abs().max())
    report.claim("dilation: a kernel with holes, apart by", apart, "<=", 1e-12, digits=2)


def main():
    options = common.parse(common.parser(__doc__))
    report = common.Report(options, "Convolution on a photograph")
    image = common.need("sklearn.datasets").load_sample_image("china.jpg")
    photo = torch.tensor(image).permute(2, 0, 1).double() / 255
    shown = filters(report, photo)
    sizes(report, photo)
    properties(report, photo)
    made, axes = common.figure(options, 2, 3, (12, 5.6))
    if made:
        for axis, (name, picture) in zip(axes, shown.items(), strict=True):
            middle = 0 if name in ("photograph", "blur", "sharpen", "emboss") else -0.5
            axis.imshow(picture.numpy(), cmap="gray", vmin=middle, vmax=middle + 1)
            axis.set_title(name)
            axis.axis("off")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
