"""What a callback URL is signed with: the same as itsdangerous would sign it with, and read by that."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_encode

from lazyengine.callbacks import SALT, Tokens

SIGNED = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
PLAIN_TEXT = st.text(st.characters(codec="utf-8"))
FACTS = st.lists(PLAIN_TEXT | st.none() | st.integers())


class Uncompressed(URLSafeSerializer):
    """As itsdangerous writes what it does not find worth compressing."""

    def dump_payload(self, obj):
        return base64_encode(json.dumps(obj, ensure_ascii=False, separators=(",", ":")))


@given(FACTS, st.lists(PLAIN_TEXT, min_size=1, max_size=3))
def test_a_token_is_the_one_of_itsdangerous(facts, keys):
    token = Tokens(keys).dumps(facts)
    assert token == Uncompressed(keys, SALT, signer_kwargs=SIGNED).dumps(facts)
    assert URLSafeSerializer(keys, SALT, signer_kwargs=SIGNED).loads(token) == facts
    assert Tokens(keys).loads(token) == facts


def test_the_last_key_signs_and_all_are_good_for_reading():
    token = Tokens(["old"]).dumps([1])
    assert Tokens(["old", "new"]).loads(token) == [1]
    with pytest.raises(BadSignature):
        Tokens(["old"]).loads(Tokens(["old", "new"]).dumps([1]))
