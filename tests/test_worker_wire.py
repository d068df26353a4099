"""Framing: what is cut up comes together again, and what is no frame or reply is refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.sandbox.worker_wire import (
    FrameReader,
    Reply,
    ReplyKind,
    TooLargeError,
    WireError,
    decode_reply,
    encode,
    encode_reply,
)

LIMIT = 1000
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(plain, max_size=8), st.data())
def test_frames_survive_any_cutting(messages: list[object], data: st.DataObject) -> None:
    stream = b"".join(encode(message, 1 << 20) for message in messages)
    reader, bodies = FrameReader(1 << 20), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        bodies += reader.feed(stream[:size])
        stream = stream[size:]
    assert [json.loads(body) for body in bodies] == messages


@given(plain, st.floats(0, 1e6), st.booleans())
def test_replies_come_back_as_they_went(value: object, seconds: float, worn: bool) -> None:
    frame = encode_reply(ReplyKind.VALUE, value, seconds, worn=worn)
    (body,) = FrameReader(1 << 20).feed(frame)
    assert decode_reply(body) == Reply(ReplyKind.VALUE, value, seconds, worn)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_refused(body: bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(decode_reply(body), Reply)


@given(st.lists(st.binary(max_size=3000), max_size=20))
def test_a_reader_holds_no_more_than_one_frame(chunks: list[bytes]) -> None:
    reader = FrameReader(LIMIT)
    with contextlib.suppress(WireError):
        for chunk in chunks:
            assert all(len(body) <= LIMIT for body in reader.feed(chunk))
            assert len(reader._buffer) <= LIMIT + 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'["value", 1, 0.1]',
        b'["value", 1, 0.1, false, 0]',
        b'["other", 1, 0.1, false]',
        b'["value", 1, "x", false]',
        b'["value", 1, null, false]',
        b'["value", ' + b"[" * 100_000,
        b'["value", ' + b"1" * 5000 + b", 0.1, false]",
        b'{"value": 1, "b": 2, "c": 3, "d": 4}',
        b"\x80\x04.",
        b"\xff\xfe",
    ],
)
def test_what_is_no_reply_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="wrote no reply"):
        decode_reply(body)


@pytest.mark.parametrize("seconds", ["-5.0", "NaN"])
def test_a_worker_cannot_claim_less_than_no_time(seconds: str) -> None:
    assert decode_reply(f'["value", 1, {seconds}, false]'.encode()).seconds == 0.0


def test_too_many_bytes_are_refused_on_both_sides() -> None:
    with pytest.raises(TooLargeError, match="1002 bytes of JSON are more than the 1000"):
        encode("x" * LIMIT, LIMIT)
    with pytest.raises(WireError, match="announced a frame of 1001 bytes; 1000 are allowed"):
        list(FrameReader(LIMIT).feed((1001).to_bytes(4, "little")))
