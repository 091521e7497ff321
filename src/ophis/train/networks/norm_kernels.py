"""Group norm and ReLU in one, as Triton kernels; `norm_tiles` starts them.

All read an activation as [photos, channels, places] with its strides, so that channels-last and
contiguous tensors go through the same code. Arithmetic is float32, whatever comes in. Nothing is
added up in an order that chance decides: the same input gives the same bits.

Forward: moments of each channel over a part of its places, moments of each group, the outputs.
Backward: sums of each channel over a part of its places, sums of each group, the gradient.
An activation is read twice and written once; what lies between is a few numbers a channel.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def channel_moments(
    x, means, squares, channels, places, channel_stride, place_stride, part_places,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Mean of a channel's part and the squares around it, summed: [photos, parts, channels].

    Sums are taken around the mean of the first tile: where the mean is far from zero, sums of plain
    squares would lose the digits that the variance stands in.
    """
    n, part = tl.program_id(0), tl.program_id(1)
    x += n.to(tl.int64) * channels * places
    c = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    begin = part * part_places
    end = tl.minimum(begin + part_places, places)
    p = begin + tl.arange(0, ROWS)
    offsets = p[:, None] * place_stride + c[None, :] * channel_stride
    exists = (p < end)[:, None] & (c < channels)[None, :]
    tile = tl.load(x + offsets, mask=exists, other=0.0).to(tl.float32)
    shift = tl.sum(tile, 0) / tl.minimum(end - begin, ROWS).to(tl.float32)
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    square = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for start in range(begin, end, ROWS):
        p = start + tl.arange(0, ROWS)
        offsets = p[:, None] * place_stride + c[None, :] * channel_stride
        exists = (p < end)[:, None] & (c < channels)[None, :]
        tile = tl.load(x + offsets, mask=exists, other=0.0).to(tl.float32)
        tile = tl.where(exists, tile - shift[None, :], 0.0)
        total += tile
        square += tile * tile
    count = (end - begin).to(tl.float32)
    off = tl.sum(total, 0)
    out = (n * tl.num_programs(1) + part) * channels + c
    tl.store(means + out, shift + off / count, mask=c < channels)
    tl.store(squares + out, tl.sum(square, 0) - off * off / count, mask=c < channels)


@triton.jit
def group_moments(
    means, squares, mean, scale, channels, places, part_places, parts, epsilon,
    GROUP: tl.constexpr, PARTS: tl.constexpr, MEMBERS: tl.constexpr,
):  # fmt: skip
    """Mean of a group and one over its deviation, [photos, groups], by Chan's formula."""
    n, g = tl.program_id(0), tl.program_id(1)
    part, member = tl.arange(0, PARTS), tl.arange(0, MEMBERS)
    exists = (part < parts)[:, None] & (member < GROUP)[None, :]
    where = (n * parts + part)[:, None] * channels + (g * GROUP + member)[None, :]
    each = tl.load(means + where, mask=exists, other=0.0)
    around = tl.load(squares + where, mask=exists, other=0.0)
    count = tl.minimum(places - part * part_places, part_places).to(tl.float32)[:, None]
    count = tl.where(exists, count, 0.0)
    whole = (places * GROUP).to(tl.float32)
    centre = tl.sum(tl.sum(each * count, 1), 0) / whole
    away = tl.where(exists, each - centre, 0.0)
    variance = tl.sum(tl.sum(around + count * away * away, 1), 0) / whole
    out = n * tl.num_programs(1) + g
    tl.store(mean + out, centre)
    tl.store(scale + out, 1.0 / tl.sqrt(variance + epsilon))


@triton.jit
def outputs(
    x, y, mean, scale, weight, bias, channels, places, channel_stride, place_stride,
    GROUP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of the result, in the type of ``y``."""
    n = tl.program_id(0)
    c = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    p = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    known = c < channels
    exists = (p < places)[:, None] & known[None, :]
    offsets = p[:, None] * place_stride + c[None, :] * channel_stride
    start = n.to(tl.int64) * channels * places
    group = n * (channels // GROUP) + c // GROUP
    centre = tl.load(mean + group, mask=known, other=0.0)
    factor = tl.load(scale + group, mask=known, other=0.0)
    gain = tl.load(weight + c, mask=known, other=0.0).to(tl.float32)
    offset = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
    tile = tl.load(x + start + offsets, mask=exists, other=0.0).to(tl.float32)
    z = (tile - centre[None, :]) * factor[None, :] * gain[None, :] + offset[None, :]
    z = tl.where(z <= 0.0, 0.0, z)  # what is no number stays none, as with torch's ReLU
    tl.store(y + start + offsets, z.to(y.dtype.element_ty), mask=exists)


@triton.jit
def channel_sums(
    x, dy, mean, scale, weight, bias, plain, scaled,
    channels, places, channel_stride, place_stride, part_places,
    GROUP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums of dz and of dz times the normed input, dz = dy behind the ReLU.

    Of each channel over a part of its places: [photos, parts, channels].
    """
    n, part = tl.program_id(0), tl.program_id(1)
    c = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    known = c < channels
    start = n.to(tl.int64) * channels * places
    group = n * (channels // GROUP) + c // GROUP
    centre = tl.load(mean + group, mask=known, other=0.0)
    factor = tl.load(scale + group, mask=known, other=0.0)
    gain = tl.load(weight + c, mask=known, other=0.0).to(tl.float32)
    offset = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
    begin = part * part_places
    end = tl.minimum(begin + part_places, places)
    first = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    second = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for row in range(begin, end, ROWS):
        p = row + tl.arange(0, ROWS)
        exists = (p < end)[:, None] & known[None, :]
        offsets = p[:, None] * place_stride + c[None, :] * channel_stride
        tile = tl.load(x + start + offsets, mask=exists, other=0.0).to(tl.float32)
        dz = tl.load(dy + start + offsets, mask=exists, other=0.0).to(tl.float32)
        normed = (tile - centre[None, :]) * factor[None, :]
        dz = tl.where(normed * gain[None, :] + offset[None, :] <= 0.0, 0.0, dz)
        first += dz
        second += dz * normed
    out = (n * tl.num_programs(1) + part) * channels + c
    tl.store(plain + out, tl.sum(first, 0), mask=known)
    tl.store(scaled + out, tl.sum(second, 0), mask=known)


@triton.jit
def group_sums(
    plain, scaled, weight, sums, pulls, channels, places, parts,
    GROUP: tl.constexpr, PARTS: tl.constexpr, MEMBERS: tl.constexpr,
):  # fmt: skip
    """Sums of each channel over its parts, [2, photos, channels], and means of each group.

    The means, [2, photos, groups], are of the gradient behind the affine map, and of that gradient
    times the normed input: what mean and deviation take from each input's gradient.
    """
    n, g = tl.program_id(0), tl.program_id(1)
    part, member = tl.arange(0, PARTS), tl.arange(0, MEMBERS)
    mine = member < GROUP
    exists = (part < parts)[:, None] & mine[None, :]
    c = g * GROUP + member
    where = (n * parts + part)[:, None] * channels + c[None, :]
    first = tl.sum(tl.load(plain + where, mask=exists, other=0.0), 0)
    second = tl.sum(tl.load(scaled + where, mask=exists, other=0.0), 0)
    photos, groups = tl.num_programs(0), tl.num_programs(1)
    tl.store(sums + n * channels + c, first, mask=mine)
    tl.store(sums + (photos + n) * channels + c, second, mask=mine)
    gain = tl.load(weight + c, mask=mine, other=0.0).to(tl.float32)
    whole = (places * GROUP).to(tl.float32)
    tl.store(pulls + n * groups + g, tl.sum(gain * first, 0) / whole)
    tl.store(pulls + (photos + n) * groups + g, tl.sum(gain * second, 0) / whole)


@triton.jit
def input_gradient(
    x, dy, dx, mean, scale, weight, bias, pulls,
    channels, places, channel_stride, place_stride,
    GROUP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of the gradient of ``x``, in the type of ``dx``."""
    n = tl.program_id(0)
    c = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    p = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    known = c < channels
    exists = (p < places)[:, None] & known[None, :]
    offsets = p[:, None] * place_stride + c[None, :] * channel_stride
    start = n.to(tl.int64) * channels * places
    groups = channels // GROUP
    group = n * groups + c // GROUP
    centre = tl.load(mean + group, mask=known, other=0.0)
    factor = tl.load(scale + group, mask=known, other=0.0)
    gain = tl.load(weight + c, mask=known, other=0.0).to(tl.float32)
    offset = tl.load(bias + c, mask=known, other=0.0).to(tl.float32)
    pull = tl.load(pulls + group, mask=known, other=0.0)
    stretch = tl.load(pulls + tl.num_programs(0) * groups + group, mask=known, other=0.0)
    tile = tl.load(x + start + offsets, mask=exists, other=0.0).to(tl.float32)
    dz = tl.load(dy + start + offsets, mask=exists, other=0.0).to(tl.float32)
    normed = (tile - centre[None, :]) * factor[None, :]
    dz = tl.where(normed * gain[None, :] + offset[None, :] <= 0.0, 0.0, dz) * gain[None, :]
    dz = (dz - pull[None, :] - normed * stretch[None, :]) * factor[None, :]
    tl.store(dx + start + offsets, dz.to(dx.dtype.element_ty), mask=exists)
