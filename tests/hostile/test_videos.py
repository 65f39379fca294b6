"""Videos: damaged anywhere, promising too much, or not videos but orders to open other files."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

import pytest
from hostile import targets
from hostile.cage import Case, Opened, failures, try_all
from hostile.crafted import endless_mp4, huge_avi
from hostile.mutate import mutated
from video.conftest import run_ffmpeg

from soupxr.errors import VideoError
from soupxr.video import VideoReader, probe

#: One of each kind of container and codec.
FILMS = [
    *["plain.mp4", "fragments.mp4", "edit_list.mp4", "intra_only.avi", "xvid.avi", "bgr.avi"],
    *["h264.avi", "ffv1.mkv", "h264.ts", "mpeg2.mpg", "vp9.webm", "raw.h264", "flash.flv"],
]
#: Real ones, as far as they are small.
LARGEST_REAL = 400_000


def _cases(files: list[Path], seeds):
    contents = {file.name: file.read_bytes() for file in files}
    others = list(contents.values())
    for seed in seeds:
        for name, data in contents.items():
            content = (name, mutated(data, seed, others))
            yield Case(f"{name}, seed {seed}", content, told=(name,))


def test_damaged_films_are_read_right_or_refused(short_film, seeds, tmp_path):
    files = [short_film(name) for name in FILMS]
    outcomes = try_all("films", targets.film, _cases(files, seeds(0.35, 12)), tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right", "refused"}


def test_damaged_real_files_are_read_right_or_refused(shared, seeds, tmp_path):
    files = [
        path
        for path in sorted((shared / "data" / "awkward").iterdir())
        if 1000 < path.stat().st_size < LARGEST_REAL
    ]
    cases = _cases(files, seeds(0.15, 3))
    assert not failures(try_all("real films", targets.film, cases, tmp_path))


def test_an_index_that_points_beside_the_pictures(short_film, tmp_path):
    film = short_film("bgr.avi").read_bytes()
    second = film.index(b"movi") + 4 + 2 * (96 * 64 * 3 + 8) + 100
    path = tmp_path / "shifted.avi"
    path.write_bytes(film[:second] + film[second + 9 :])
    with VideoReader(path) as reader:
        whole = reader.read(0, len(reader))
        for frame in range(len(reader) - 1, -1, -1):
            assert (reader.read(frame, frame + 1)[0] == whole[frame]).all()


# ------------------------------------------------------------------ more than a file can hold


@pytest.mark.parametrize("size", [(30_000, 30_000), (100_000, 100), (-5, 64), (8192, 8193)])
def test_a_header_that_promises_huge_pictures(size, short_film, tmp_path):
    films = [short_film(name) for name in ("bgr.avi", "intra_only.avi", "xvid.avi")]
    cases = [
        Case(
            f"{film.name} of {size}", (film.name, huge_avi(film.read_bytes(), *size)), (film.name,)
        )
        for film in films
    ]
    assert not failures(try_all("promises", targets.film, cases, tmp_path))


def test_an_index_that_names_a_picture_without_end(tmp_path):
    picture = tmp_path / "one.jpg"
    run_ffmpeg("-f", "lavfi", "-i", "color=s=96x64", "-frames:v", "1", "-q:v", "31", picture)
    film = endless_mp4(chunks=3000, samples=100, picture=picture.read_bytes())
    outcomes = try_all("promises", targets.film, [Case("endless", ("endless.mp4", film))], tmp_path)
    assert not failures(outcomes)
    assert "names more pictures than it can hold" in outcomes[0].words


FORGED = (
    "x\nStream mapping:\n  Stream #0:7 -> #0:0 (a)\nOutput #0, rawvideo, to 'pipe:':\n"
    "  Stream #0:0: Video: rawvideo, rgb24, 60000x60000, q=2"
)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_texts_in_a_file_are_not_taken_for_facts(suffix, short_film, tmp_path):
    path = tmp_path / f"forged{suffix}"
    texts = ["-metadata", f"title={FORGED}", "-metadata", f"comment={FORGED}"]
    if suffix == ".mkv":
        texts += ["-metadata:s:v", f"language=y): Video: rawvideo, 9x9\n{FORGED[2:]}"]
    run_ffmpeg("-i", short_film("plain.mp4"), "-c", "copy", *texts, path)
    with VideoReader(path) as reader:
        assert reader.shape == (21, 64, 96, 3)
        assert reader.read(20, 21).any()


# ------------------------------------------------------------------ orders to open something else

DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXT-X-MAP:URI="{}"\n'
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
IMF = (
    '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "<Id>urn:uuid:8713c020-2489-45f5-a9f7-87be539e20b5</Id></CompositionPlaylist>"
)
RTSP = "RTSP/1.0 200 OK\nrtsp://127.0.0.1:{port}/x\n"
LISTS = {
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "concat, unsafe": "ffconcat version 1.0\nfile '{}'\noption safe 0\nduration 1\n",
    "dash": DASH,
    "hls": HLS.format("", "{}"),
    "hls with a key": HLS.format(KEY, "{0}").replace("{}", "{0}"),
    "imf": IMF,
    "sdp": SDP,
    "rtsp": RTSP,
    "asx": '<ASX version="3"><ENTRY><REF HREF="{}"/></ENTRY></ASX>',
    "ram": "[Reference]\nRef1={}\n",
    "avisynth": 'AVISource("{}")\n',
}


#: Endings by which ffmpeg knows such files, beside what is in them.
SUFFIXES = {"hls": ".m3u8", "dash": ".mpd", "sdp": ".sdp", "avisynth": ".avs"}


@pytest.fixture
def listening():
    """A server that nobody should come to, by TCP or UDP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", port))
            server.setblocking(False)
            datagrams.setblocking(False)
            yield server, datagrams, port


def test_playlists_make_nothing_else_be_opened(listening, short_film, tmp_path):
    server, datagrams, port = listening
    secret = tmp_path / "elsewhere" / "secret.mp4"
    beside = tmp_path / "beside.mp4"
    for film in (secret, beside):
        film.parent.mkdir(exist_ok=True)
        film.write_bytes(short_film("plain.mp4").read_bytes())
    watched = [Opened(path) for path in (secret, beside)]
    address = f"127.0.0.1:{port}"
    goals = [str(secret), "elsewhere/secret.mp4", "beside.mp4", "/etc/passwd", f"file:{secret}"]
    goals += [f"{scheme}://{address}/x.mp4" for scheme in ("http", "https", "tcp", "udp", "rtmp")]
    goals += [f"concat:{secret}|{beside}", f"subfile,,start,0,end,9,,:{secret}", f"crypto:{secret}"]
    goals += [f"async:http://{address}/", f"tee:{secret}", "data:video/mp4,x", f"unix:{secret}"]
    cases = []
    for kind, text in LISTS.items():
        for goal in goals:
            content = text.replace("{port}", str(port)).replace("{0}", goal).replace("{}", goal)
            for suffix in (".mp4", SUFFIXES.get(kind.partition(" ")[0], ".avi")):
                name = f"trial{suffix}"
                cases.append(Case(f"{kind} of {goal} as {name}", (name, content.encode()), (name,)))
    outcomes = try_all("playlists", targets.film, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"refused"}
    opened = [bool(one) for one in watched]
    for one in watched:
        one.close()
    assert opened == [False, False]
    assert not any("root:" in outcome.words for outcome in outcomes)
    for quiet in (server.accept, lambda: datagrams.recv(1)):
        with pytest.raises(BlockingIOError):
            quiet()


def test_the_kernel_tells_of_what_is_opened(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    watch = Opened(path)
    assert not watch
    path.read_bytes()
    assert watch
    watch.close()


def test_an_mp4_that_says_its_pictures_are_elsewhere(short_film, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(short_film("plain.mp4").read_bytes())
    here = bytearray(other.read_bytes())
    at = here.index(b"url \0\0\0\1") - 4
    named = str(other).encode() + b"\0"
    reference = struct.pack(">I4sI", 12 + len(named), b"url ", 0) + named
    here[at : at + 12] = reference
    grown = len(reference) - 12
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = here.rindex(box) - 4
        (size,) = struct.unpack_from(">I", here, place)
        struct.pack_into(">I", here, place, size + grown)
    (tmp_path / "trial.mp4").write_bytes(here)
    watch = Opened(other)
    with contextlib.suppress(VideoError):
        probe(tmp_path / "trial.mp4")
    assert not watch
    watch.close()
