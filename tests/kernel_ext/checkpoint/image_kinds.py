"""Images in every container format: by Pillow where it writes one, else put together here after the format's definition.

Runs where numpy and Pillow are (the kernel's packages). TUNED kinds were looked at while the guard was made; HELD_OUT
kinds were not.
"""

import base64
import io
import struct
import zlib

import numpy as np
from PIL import Image, PngImagePlugin


def photo(seed, width=120, height=88):
    """Looks like a photograph to what looks at pixels: smooth shapes, an edge or two, grain."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    planes = []
    for _ in range(3):
        waves = sum(
            chance.normal() * np.sin(chance.uniform(2, 14) * x + chance.uniform(2, 14) * y + chance.uniform(0, 6))
            for _ in range(6)
        )
        disc = (x - chance.uniform(0, 1)) ** 2 + (y - chance.uniform(0, 0.7)) ** 2 < chance.uniform(0.01, 0.1)
        planes.append(waves + 2 * disc + chance.normal(size=x.shape) * 0.15)
    pixels = np.stack(planes, axis=-1)
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 255
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def by_pillow(kind, mode="RGB", **options):
    def encode(image):
        out = io.BytesIO()
        image.convert(mode).save(out, kind, **options)
        return out.getvalue()

    return encode


def frames(image):
    return [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image.rotate(180)]


def animated(kind):
    def encode(image):
        out = io.BytesIO()
        image.save(out, kind, save_all=True, append_images=frames(image), duration=50)
        return out.getvalue()

    return encode


def rgb(image):
    return np.asarray(image.convert("RGB")).copy()


def tiff(order, big=False, extra=b""):
    """An uncompressed RGB TIFF, or BigTIFF, of either byte order; its directory lies at the end."""

    def encode(image):
        pixels, (width, height) = rgb(image).tobytes(), image.size
        head = (16 if big else 8) + len(extra)
        where = head + len(pixels)
        entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 2)]
        entries += [(273, 4, 1, head), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(pixels))]
        mark = b"II" if order == "<" else b"MM"
        size = "Q" if big else "I"
        out = mark + (struct.pack(order + "HHHQ", 43, 8, 0, where) if big else struct.pack(order + "HI", 42, where))
        out += extra + pixels + struct.pack(order + ("Q" if big else "H"), len(entries))
        for tag, type_, count, value in entries:
            field = struct.pack(order + ("H" if type_ == 3 else "I"), value).ljust(8 if big else 4, b"\0")
            out += struct.pack(order + "HH" + size, tag, type_, count) + field
        return out + b"\0" * (8 if big else 4)

    return encode


def raw_of_a_camera(image):
    """As Canon's CR2: a TIFF with CR at byte 8."""
    return tiff("<", extra=b"CR\x02\0" + b"\0" * 4)(image)


def olympus(image):
    return b"IIRO" + tiff("<")(image)[4:]


def panasonic(image):
    return b"IIU\0" + tiff("<")(image)[4:]


def fuji(image):
    jpeg = by_pillow("JPEG")(image)
    return b"FUJIFILMCCD-RAW 0201FF129502X-T3".ljust(84, b"\0") + struct.pack(">II", 92, len(jpeg)) + jpeg


def psd(image):
    width, height = image.size
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3)
    return head + struct.pack(">IIIH", 0, 0, 0, 0) + rgb(image).transpose(2, 0, 1).tobytes()


def box(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def payload(image):
    return zlib.compress(rgb(image).tobytes(), 9)[2:]


def heif(brand):
    """The boxes of a HEIF file round compressed bytes that no decoder of ours reads."""

    def encode(image):
        meta = box(b"meta", b"\0" * 4, box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13))
        return box(b"ftyp", brand + b"\0\0\0\0mif1" + brand) + meta + box(b"mdat", payload(image))

    return encode


def jxl_container(image):
    return b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"jxlc", jxl_codestream(image))


def jxl_codestream(image):
    return b"\xff\x0a\xfa\x7f\x01\x90\x08\x06\x01" + payload(image)


def cursor(image):
    icon = bytearray(by_pillow("ICO")(image))
    icon[2] = 2
    return bytes(icon)


def icon_of_bitmaps(image):
    out = io.BytesIO()
    image.resize((64, 64)).save(out, "ICO", bitmap_format="bmp", sizes=[(64, 64)])
    return out.getvalue()


def pam(image):
    width, height = image.size
    head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    return head.encode() + rgb(image).tobytes()


def plain_pnm(image):
    """As text: P3."""
    width, height = image.size
    return f"P3\n{width} {height}\n255\n".encode() + " ".join(map(str, rgb(image).ravel().tolist())).encode()


def pfm(image):
    width, height = image.size
    return f"PF\n{width} {height}\n-1.0\n".encode() + (rgb(image) / 255).astype("<f4").tobytes()


def exr(image):
    channels = b"".join(name + b"\0" + struct.pack("<iB3xii", 2, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    width, height = image.size
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    attributes = [(b"channels", b"chlist", channels), (b"compression", b"compression", b"\0")]
    attributes += [(b"dataWindow", b"box2i", window), (b"displayWindow", b"box2i", window)]
    head = b"".join(n + b"\0" + t + b"\0" + struct.pack("<i", len(v)) + v for n, t, v in attributes) + b"\0"
    lines = (rgb(image) / 255).astype("<f4").transpose(0, 2, 1)
    body = b"".join(struct.pack("<ii", y, width * 12) + line.tobytes() for y, line in enumerate(lines))
    offsets = b"".join(struct.pack("<Q", y * (width * 12 + 8)) for y in range(height))
    return b"\x76\x2f\x31\x01" + struct.pack("<i", 2) + head + offsets + body


def radiance(image):
    width, height = image.size
    pixels = np.concatenate([rgb(image), np.full((height, width, 1), 128, np.uint8)], axis=2)
    return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode() + pixels.tobytes()


def fits(image):
    width, height = image.size
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"]
    cards += [f"NAXIS1  = {width:20d}", f"NAXIS2  = {height:20d}", "END"]
    head = "".join(card.ljust(80) for card in cards)
    return head.ljust(2880).encode() + np.asarray(image.convert("L")).tobytes()


def xpm(image):
    grey = np.asarray(image.convert("L").resize((64, 48))) // 16
    colours = [f'"{chr(97 + each)} c #{each * 16:02x}{each * 16:02x}{each * 16:02x}",' for each in range(16)]
    rows = ['"' + "".join(chr(97 + each) for each in row) + '",' for row in grey]
    return ("/* XPM */\nstatic char *x[] = {\n" + '"64 48 16 1",\n' + "\n".join(colours + rows) + "\n};\n").encode()


def mng(image):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIIIIII", *image.size, 25, 1, 1, 1, 1)
    return b"\x8aMNG\r\n\x1a\n" + chunk(b"MHDR", head) + by_pillow("PNG")(image)[8:] + chunk(b"MEND", b"")


def svg(image):
    data = base64.b64encode(by_pillow("PNG")(image)).decode()
    return f'<svg xmlns="http://www.w3.org/2000/svg"><image href="data:image/png;base64,{data}"/></svg>'.encode()


def svg_of_jpeg(image):
    data = base64.b64encode(by_pillow("JPEG")(image)).decode()
    return f'<?xml version="1.0"?>\n<svg width="9"><image xlink:href="data:image/jpeg;base64,\n{data}"/></svg>'.encode()


def farbfeld(image):
    pixels = np.concatenate([rgb(image), np.full((*image.size[::-1], 1), 255, np.uint8)], axis=2)
    return b"farbfeld" + struct.pack(">II", *image.size) + (pixels.astype(">u2") * 257).tobytes()


def bpg(image):
    return b"BPG\xfb\x20\x00\x81\x00\x80\x00" + payload(image)


def xcf(image):
    return b"gimp xcf v011\0" + struct.pack(">III", *image.size, 0) + payload(image)


def sun_raster(image):
    pixels = rgb(image).tobytes()
    return struct.pack(">IIIIIIII", 0x59A66A95, *image.size, 24, len(pixels), 1, 0, 0) + pixels


def ktx(image):
    head = b"\xabKTX 11\xbb\r\n\x1a\n" + struct.pack("<13I", 0x04030201, 0x1401, 1, 0x1907, 0x1907, 0x1907, *image.size,
                                                      0, 0, 1, 1, 0)  # fmt: skip
    return head + struct.pack("<I", rgb(image).nbytes) + rgb(image).tobytes()


def dicom(image):
    head = b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, 0)
    return head + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, rgb(image).nbytes) + rgb(image).tobytes()


def flif(image):
    return b"FLIF33" + struct.pack(">BB", 0x80, 0x57) + payload(image)


def jpeg_xr(image):
    return b"II\xbc\x01" + tiff("<")(image)[4:]


def png_with_text(image):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "words " * 50)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=notes)
    return out.getvalue()


TUNED = {
    "png": by_pillow("PNG"),
    "png, grey": by_pillow("PNG", "L"),
    "png, palette": by_pillow("PNG", "P"),
    "jpeg": by_pillow("JPEG"),
    "jpeg, progressive": by_pillow("JPEG", progressive=True),
    "jpeg, cmyk": by_pillow("JPEG", "CMYK"),
    "gif": by_pillow("GIF", "P"),
    "webp": by_pillow("WEBP"),
    "bmp": by_pillow("BMP"),
    "bmp, grey": by_pillow("BMP", "L"),
    "tiff": by_pillow("TIFF"),
    "tiff, deflate": by_pillow("TIFF", compression="tiff_adobe_deflate"),
    "tiff, big endian": tiff(">"),
    "heic": heif(b"heic"),
    "avif": by_pillow("AVIF"),
    "ico": by_pillow("ICO"),
    "psd": psd,
    "jpeg 2000": by_pillow("JPEG2000"),
    "ppm": by_pillow("PPM"),
    "pgm": by_pillow("PPM", "L"),
    "dds": by_pillow("DDS"),
    "tga": by_pillow("TGA"),
    "svg": svg,
    "icns": by_pillow("ICNS"),
    "pcx": by_pillow("PCX"),
    "camera raw": raw_of_a_camera,
}
HELD_OUT = {
    "webp, lossless": by_pillow("WEBP", lossless=True),
    "webp, animated": animated("WEBP"),
    "apng": animated("PNG"),
    "png with text": png_with_text,
    "gif, animated": animated("GIF"),
    "mpo": animated("MPO"),
    "bigtiff": tiff("<", big=True),
    "bigtiff, big endian": tiff(">", big=True),
    "tiff, fax": by_pillow("TIFF", "1", compression="group4"),
    "bmp, one bit": by_pillow("BMP", "1"),
    "cursor": cursor,
    "icon of bitmaps": icon_of_bitmaps,
    "jpeg 2000, codestream": by_pillow("JPEG2000", no_jp2=True),
    "jpeg xl, container": jxl_container,
    "jpeg xl, codestream": jxl_codestream,
    "jpeg xr": jpeg_xr,
    "heif sequence": heif(b"msf1"),
    "canon cr3": heif(b"crx "),
    "olympus": olympus,
    "panasonic": panasonic,
    "fuji": fuji,
    "pbm": by_pillow("PPM", "1"),
    "pam": pam,
    "ppm as text": plain_pnm,
    "pfm": pfm,
    "tga, run length": by_pillow("TGA", compression="tga_rle"),
    "sgi": by_pillow("SGI"),
    "qoi": by_pillow("QOI"),
    "exr": exr,
    "radiance": radiance,
    "fits": fits,
    "xbm": by_pillow("XBM", "1"),
    "xpm": xpm,
    "mng": mng,
    "svg of jpeg": svg_of_jpeg,
    "pdf": by_pillow("PDF"),
    "eps": by_pillow("EPS"),
    "im": by_pillow("IM"),
    "spider": by_pillow("SPIDER", "F"),
    "msp": by_pillow("MSP", "1"),
    "farbfeld": farbfeld,
    "bpg": bpg,
    "xcf": xcf,
    "sun raster": sun_raster,
    "ktx": ktx,
    "dicom": dicom,
    "flif": flif,
}
