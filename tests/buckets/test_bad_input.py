"""Places that can't be used: within 30 s one error that names the path, who asked, and what to change; exit 2."""

import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from servers import Server, canned_server, make_bucket, moto_s3, s3_error, save_s3_keys, user, web_server, with_users

from cvbatch import CloudVolume
from cvbatch.storage import clients

PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def guarded():
    """An S3 server whose users may not do everything, seen by one who may, and a bucket with a volume."""
    with moto_s3() as server, with_users(server) as admin:
        make_bucket(admin, "guarded")
        yield admin


@pytest.fixture
def source(guarded, secrets_folder):
    """A volume in the bucket, written by who may."""
    save_s3_keys(secrets_folder, guarded)
    path = f"s3://{guarded.url}/guarded/source"
    CloudVolume.from_numpy(np.arange(64**3, dtype=np.uint8).reshape(64, 64, 64), vol_path=path, chunk_size=(32, 32, 32))
    return path


def said_of(folder, source, destination, **keys) -> str:
    """Run a job that can't be; what it says. It has written nothing, and took less time than anybody waits."""
    config = folder / "job.yaml"
    config.write_text(yaml.safe_dump({"job": "transfer", "source": source, "destination": destination, **keys}))
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", "run", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ},
    )
    assert time.monotonic() - start < PATIENCE_SECONDS
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("denied", "part", "said"),
    [
        ("s3:GetObject", "source", "It needs s3:GetObject"),
        ("s3:PutObject", "destination", "It needs s3:PutObject"),
        ("s3:DeleteObject", "destination", "It needs s3:DeleteObject"),
        ("s3:ListBucket", "destination", "It needs s3:ListBucket"),
    ],
)
def test_what_may_not_be_done(guarded, source, secrets_folder, tmp_path, denied, part, said):
    # given a user who lacks one permission on one end of the job
    key, secret = user(guarded, [denied])
    make_bucket(guarded, bucket := f"lacks-{denied[3:].lower()}")
    limited = Server(guarded.url, key, secret)
    save_s3_keys(secrets_folder, limited, "guarded" if part == "source" else bucket)
    # when the job is run
    text = said_of(tmp_path, source, f"s3://{guarded.url}/{bucket}/em")
    # then it says which, where and as whom, and no volume was made
    assert said in text
    assert str(secrets_folder) in text
    assert secret not in text
    save_s3_keys(secrets_folder, guarded, bucket)
    with pytest.raises(Exception, match="no volume at"):
        CloudVolume(f"s3://{guarded.url}/{bucket}/em")


def test_no_such_bucket(source, guarded, tmp_path):
    text = said_of(tmp_path, source, f"s3://{guarded.url}/no-such-bucket/em")
    assert "destination: " in text
    assert "there is no bucket 'no-such-bucket'" in text
    text = said_of(tmp_path, f"s3://{guarded.url}/no-such-bucket/em", f"file://{tmp_path}/out")
    assert "source: " in text
    assert "there is no bucket 'no-such-bucket'" in text
    assert not (tmp_path / "out").exists()


def test_wrong_keys(source, guarded, secrets_folder, tmp_path):
    save_s3_keys(secrets_folder, Server(guarded.url, "AKIAUNKNOWNUNKNOWN", "hush-hush-hush"), "guarded")
    text = said_of(tmp_path, source, f"file://{tmp_path}/out")
    assert "the store does not accept the credentials (403 InvalidAccessKeyId" in text
    assert "cvbatch doctor" in text
    assert "hush" not in text


def test_no_keys(guarded, tmp_path):
    text = said_of(tmp_path, f"s3://{guarded.url}/guarded/source", f"file://{tmp_path}/out")
    assert "no credentials for S3. Looked in" in text
    assert "anonymous: true" in text


@pytest.mark.parametrize(
    ("status", "code", "message", "said"),
    [
        (400, "ExpiredToken", "The provided token has expired.", "Renew or replace them"),
        (403, "RequestTimeTooSkewed", "The clocks differ.", "does not accept the credentials"),
        (301, "PermanentRedirect", "", "Set region_name"),
        (400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'", "eu-west-1"),
        (405, "MethodNotAllowed", "", "the store refuses the request (405 MethodNotAllowed)"),
        (501, "NotImplemented", "", "the store refuses the request (501 NotImplemented)"),
    ],
)
def test_answers_that_will_not_change(secrets_folder, tmp_path, status, code, message, said):
    # given a server that says so to everything
    with canned_server(status, s3_error(code, message)) as url:
        save_s3_keys(secrets_folder, Server(url, "key-of-ten-letters", "secret"))
        start = time.monotonic()
        text = said_of(tmp_path, f"s3://{url}/bucket/em", f"file://{tmp_path}/out")
    # then it was asked once
    assert said in text
    assert f"s3://{url}/bucket/em/info" in text
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 refuses connections"),
        ("https://nosuchhost.invalid", "the name of https://nosuchhost.invalid does not resolve"),
    ],
)
def test_nobody_there(secrets_folder, tmp_path, endpoint, said):
    save_s3_keys(secrets_folder, Server(endpoint, "key-of-ten-letters", "secret"))
    source = {"path": "s3://bucket/em", "endpoint": endpoint}
    assert said in said_of(tmp_path, source, f"file://{tmp_path}/out")


def test_no_tls_where_it_is_asked_for(moto, secrets_folder, tmp_path):
    save_s3_keys(secrets_folder, moto)
    endpoint = moto.url.replace("http:", "https:")
    text = said_of(tmp_path, {"path": "s3://bucket/em", "endpoint": endpoint}, f"file://{tmp_path}/out")
    assert "does not speak TLS. Should endpoint begin with http://?" in text


def test_a_certificate_that_nobody_vouches_for(secrets_folder, tmp_path):
    # given a server that has made its own certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    with canned_server(200, b"{}", tls=context) as url:
        save_s3_keys(secrets_folder, Server(url, "key-of-ten-letters", "secret"))
        text = said_of(tmp_path, {"path": "s3://bucket/em", "endpoint": url}, f"file://{tmp_path}/out")
    assert f"the certificate of {url} cannot be trusted" in text


def self_signed(folder):
    """Files with a certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "certificate.pem", folder / "key.pem"


def test_a_login_page_instead_of_the_volume(tmp_path):
    with canned_server(200, b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"}) as url:
        text = said_of(tmp_path, f"{url}/em", f"file://{tmp_path}/out")
    assert "a web page came instead of the object" in text
    assert f"{url}/em/info" in text


def test_a_page_instead_of_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "DEADLINE_SECONDS", 0.5)
    # given a web server that shows a page in the place of one chunk
    folder = tmp_path / "served"
    CloudVolume.from_numpy(np.zeros((64, 64, 64), np.uint8), vol_path=f"file://{folder}", chunk_size=(32, 32, 32))
    with web_server(folder, gzip_static=True) as server:
        server.page_for = lambda path: b"<html>moved</html>" if path.endswith("/32-64_0-32_0-32") else None
        # when it is read
        vol = CloudVolume(server.url, fill_missing=True)
        # then that is no missing chunk
        with pytest.raises(Exception, match=r"32-64_0-32_0-32 .*a web page came instead of the object"):
            vol[:, :, :]


def test_what_a_web_server_refuses(tmp_path):
    folder = tmp_path / "served"
    CloudVolume.from_numpy(np.zeros((64, 64, 64), np.uint8), vol_path=f"file://{folder}", chunk_size=(32, 32, 32))
    with web_server(folder, gzip_static=True, authorization="Bearer right") as server:
        assert "does not accept the credentials (401)" in said_of(tmp_path, server.url, f"file://{tmp_path}/out")
        # with the token it is read
        assert CloudVolume(server.url, secrets={"token": "right"})[:, :, :].shape == (64, 64, 64, 1)


def test_a_web_server_is_no_destination(source, tmp_path):
    with web_server(tmp_path) as server:
        assert "can only be read" in said_of(tmp_path, source, f"{server.url}/out")


def test_a_redirect_of_info_does_not_lead_to_this_machine(tmp_path):
    # given a volume of a server that says it is elsewhere: on the reader's own disk
    CloudVolume.from_numpy(np.zeros((8, 8, 8), np.uint8), vol_path=f"file://{tmp_path}/private", chunk_size=(8, 8, 8))
    (tmp_path / "info").write_text(f'{{"redirect": "file://{tmp_path}/private"}}')
    with web_server(tmp_path) as server, pytest.raises(Exception, match="which is on this machine"):
        CloudVolume(server.url)
