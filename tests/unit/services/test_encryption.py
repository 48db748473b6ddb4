"""Stored secrets: unreadable without the key, readable under an older one, rotated to the newest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from dashboard.models import encryption

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_text_comes_back_and_is_not_in_the_token() -> None:
    token = encryption.encrypt("pässwörd")
    assert encryption.decrypt(token) == "pässwörd"
    assert "pässwörd" not in token
    assert encryption.encrypt("pässwörd") != token


def test_rotation_moves_to_the_newest_key() -> None:
    with override_settings(CREDENTIAL_KEYS=[OLD]):
        token = encryption.encrypt("secret")
    with override_settings(CREDENTIAL_KEYS=[NEW, OLD]):
        assert encryption.decrypt(token) == "secret"
        rotated = encryption.rotate(token)
    with override_settings(CREDENTIAL_KEYS=[NEW]):
        assert encryption.decrypt(rotated) == "secret"
        for read in (encryption.decrypt, encryption.rotate):
            with pytest.raises(encryption.SecretUnreadable):
                read(token)


@pytest.mark.parametrize("token", ["", "not a token", "é", "gAAAAA=="])
def test_nonsense_is_unreadable(token: str) -> None:
    with pytest.raises(encryption.SecretUnreadable):
        encryption.decrypt(token)


def test_without_keys_nothing_is_stored() -> None:
    with override_settings(CREDENTIAL_KEYS=[]), pytest.raises(ImproperlyConfigured, match="DASHBOARD_CREDENTIAL_KEYS"):
        encryption.encrypt("secret")
