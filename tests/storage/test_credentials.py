"""Where the credentials of a bucket or server come from, and that nothing shows them."""

import base64
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from servers import Server, make_bucket, save_s3_keys, user, web_server, with_users
from volumes import make_scale

from cvbatch import CloudVolume
from cvbatch.errors import AuthenticationError, CvbatchError, ForbiddenError
from cvbatch.geometry import Vec
from cvbatch.metadata import VoxelType
from cvbatch.metadata.job import ByteEncoding, Downsampling, Job, Level, PassSpec, PlanSpec, Source, job_document
from cvbatch.storage import Blob, StoreOptions, open_store, parse_location
from cvbatch.storage.clients import bucket_client
from cvbatch.storage.credentials import find_credentials, secret_folders

SECRET = "pass-word/42+x"
TOKEN = "session-token-42"


def s3_keys(name: str, secret: str = SECRET, **more: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret, **more}


def save(folder, name: str, value) -> str:
    """A file with credentials: text as it is, all else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return str(folder / name)


def found(url: str, **options):
    return find_credentials(parse_location(url, StoreOptions(**options)))


def key_of(url: str, **options) -> str:
    """The name of the access key that is used for a URL of S3."""
    credentials = found(url, **options)
    return credentials.settings.get("access_key_id") or credentials.provider()["access_key_id"]


@pytest.fixture
def aws_files(monkeypatch, tmp_path):
    """A folder with the files of the AWS tools, which are used."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def profile(name: str, key: str) -> str:
    return f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n"


# --- the order


def test_the_most_special_credentials_are_used(secrets_folder, aws_files, monkeypatch):
    # given credentials of every kind
    url = "s3://https://s3.example.org:9000/bucket/em"
    save(secrets_folder, "bucket-aws-secret.json", s3_keys("of-the-bucket"))
    save(secrets_folder, "s3.example.org-aws-secret.json", s3_keys("of-the-server"))
    save(secrets_folder, "aws-secret.json", s3_keys("of-all"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    save(aws_files, "credentials", profile("default", "of-the-profile"))
    # then one after the other is used, as those before it are gone
    assert key_of(url, secrets=json.dumps(s3_keys("given"))) == "given"
    for name, file in (
        ("of-the-bucket", "bucket-aws-secret.json"),
        ("of-the-server", "s3.example.org-aws-secret.json"),
        ("of-all", "aws-secret.json"),
    ):
        assert key_of(url) == name
        assert found(url).origin == str(secrets_folder / file)
        (secrets_folder / file).unlink()
    assert key_of(url) == "of-the-environment"
    assert "AWS_ACCESS_KEY_ID" in found(url).origin
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert key_of(url) == "of-the-profile"
    assert "profile default" in found(url).origin
    (aws_files / "credentials").unlink()
    # until there are none, which says where they could have been
    with pytest.raises(AuthenticationError) as caught:
        found(url)
    for place in (
        url,
        *secret_folders(),
        "bucket-aws-secret.json",
        "s3.example.org-aws-secret.json",
        " aws-secret.json",
    ):
        assert place in str(caught.value)
    for word in ("AWS_ACCESS_KEY_ID", "~/.aws", "anonymous: true"):
        assert word in str(caught.value)


def test_credentials_of_other_buckets_and_servers_are_not_used(secrets_folder):
    # given
    save(secrets_folder, "other-aws-secret.json", s3_keys("of-another-bucket"))
    save(secrets_folder, "other.org-aws-secret.json", s3_keys("of-another-server"))
    save(secrets_folder, "matrix-secret.json", s3_keys("of-matrix"))
    save(secrets_folder, "google-secret.json", s3_keys("of-google"))
    # then
    with pytest.raises(AuthenticationError):
        found("s3://https://s3.example.org/bucket/em")


def test_anonymous_asks_with_nothing(secrets_folder):
    # given
    save(secrets_folder, "aws-secret.json", s3_keys("of-all"))
    save(secrets_folder, "google-secret.json", "token")
    save(secrets_folder, "http-secret.json", "token")
    # then
    assert found("s3://b/k", anonymous=True).settings == {"skip_signature": True}
    assert found("gs://b/k", anonymous=True).settings == {"skip_signature": True}
    server = found("https://host/k", anonymous=True)
    assert not server.settings
    assert not server.headers
    assert "anonymous" in server.origin


@pytest.mark.parametrize("folder", [".cloudvolume", ".cloudfiles"])
def test_folders_in_the_home_directory(folder, tmp_path, monkeypatch):
    # given
    monkeypatch.delenv("CLOUD_VOLUME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = save(tmp_path / folder / "secrets", "aws-secret.json", s3_keys("mine"))
    # then
    assert key_of("s3://b/k") == "mine"
    assert found("s3://b/k").origin == path


def test_folders_of_the_environment(tmp_path, monkeypatch):
    # given two files in either program's folder, and others where they would be without
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(tmp_path / "volume"))
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path / "files"))
    for folder in ("home/.cloudvolume", "home/.cloudfiles", "files", "volume"):
        save(tmp_path / folder / "secrets", "aws-secret.json", s3_keys(folder))
    # then CloudVolume's goes first
    assert key_of("s3://b/k") == "volume"
    # but not before a more special file of cloud-files
    save(tmp_path / "files/secrets", "b-aws-secret.json", s3_keys("special"))
    assert key_of("s3://b/k") == "special"
    # and the home directory is not asked
    for name in ("aws-secret.json", "b-aws-secret.json"):
        for folder in ("volume", "files"):
            (tmp_path / folder / "secrets" / name).unlink(missing_ok=True)
    with pytest.raises(AuthenticationError) as caught:
        found("s3://b/k")
    assert str(tmp_path / "volume/secrets") in str(caught.value)
    assert str(tmp_path / "files/secrets") in str(caught.value)


def test_servers_with_a_name_have_files_with_that_name(secrets_folder):
    # given
    save(secrets_folder, "aws-secret.json", s3_keys("of-amazon"))
    save(secrets_folder, "matrix-secret.json", s3_keys("of-matrix"))
    save(secrets_folder, "mine-matrix-secret.json", s3_keys("of-my-bucket"))
    save(secrets_folder, "mine-aws-secret.json", s3_keys("of-amazons-bucket"))
    # then
    assert key_of("matrix://yours/em") == "of-matrix"
    assert key_of("matrix://mine/em") == "of-my-bucket"
    assert key_of("s3://yours/em") == "of-amazon"
    assert key_of("s3://mine/em") == "of-amazons-bucket"
    with pytest.raises(AuthenticationError, match=r"tigerdata-secret\.json"):
        found("tigerdata://yours/em")


def test_two_places_in_one_process_have_their_own(secrets_folder, moto):
    # given a user who may not write, one who may not read, and a bucket of each
    with with_users(moto) as admin:
        for bucket, denied in (("only-read", "s3:PutObject"), ("only-written", "s3:GetObject")):
            make_bucket(admin, bucket)
            save_s3_keys(secrets_folder, Server(moto.url, *user(admin, [denied])), bucket)
        source, target = (open_store(f"s3://{moto.url}/{name}/em") for name in ("only-read", "only-written"))
        # then both are asked by their own user, in turns
        for _ in range(2):
            assert source.get("info") is None
            target.put("info", Blob(b"{}"))
            with pytest.raises(ForbiddenError):
                source.put("info", Blob(b"{}"))
            with pytest.raises(ForbiddenError):
                target.get("info")


def test_two_users_of_one_bucket(moto):
    # given
    with with_users(moto) as admin:
        make_bucket(admin, "shared-by-users")
        url = f"s3://{moto.url}/shared-by-users/em"
        reader, writer = (json.dumps(s3_keys(*user(admin, denied))) for denied in (["s3:PutObject"], []))
        mine, yours = (open_store(parse_location(url, StoreOptions(secrets=keys))) for keys in (writer, reader))
        # then each is who was meant
        mine.put("info", Blob(b"{}"))
        assert bytes(yours.get("info").data) == b"{}"
        with pytest.raises(ForbiddenError):
            yours.put("info", Blob(b"{}"))


# --- S3


def test_temporary_credentials(secrets_folder, monkeypatch):
    # given a session token, everywhere
    save(secrets_folder, "file-aws-secret.json", s3_keys("key", AWS_SESSION_TOKEN=TOKEN))
    for name, value in s3_keys("key", AWS_SESSION_TOKEN=TOKEN).items():
        monkeypatch.setenv(name, value)
    given = json.dumps(s3_keys("key", AWS_SESSION_TOKEN=TOKEN))
    # then it is used
    for credentials in (found("s3://file/k"), found("s3://environment/k"), found("s3://given/k", secrets=given)):
        assert credentials.settings == {"access_key_id": "key", "secret_access_key": SECRET, "session_token": TOKEN}
    # and needless
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    assert found("s3://environment/k").settings == {"access_key_id": "key", "secret_access_key": SECRET}


def test_the_region_may_stand_with_the_credentials(secrets_folder, monkeypatch, aws_files):
    # given
    save(secrets_folder, "file-aws-secret.json", s3_keys("key", AWS_DEFAULT_REGION="eu-north-1"))
    save(aws_files, "config", "[profile far]\nregion = ap-south-1\n")
    save(aws_files, "credentials", profile("far", "key"))
    # then
    assert found("s3://file/k").region == "eu-north-1"
    monkeypatch.setenv("AWS_PROFILE", "far")
    assert found("s3://profile/k").region == "ap-south-1"
    for name, value in s3_keys("key", AWS_DEFAULT_REGION="sa-east-1").items():
        monkeypatch.setenv(name, value)
    assert found("s3://environment/k").region == "sa-east-1"


def test_profiles(aws_files, monkeypatch):
    # given
    save(aws_files, "credentials", profile("default", "first") + profile("work", "second"))
    # then
    assert key_of("s3://b/k") == "first"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert key_of("s3://b/k") == "second"
    assert "profile work" in found("s3://b/k").origin
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(AuthenticationError, match="absent"):
        found("s3://b/k")


def test_credentials_of_a_program(aws_files):
    # given a program that gives out credentials for a while
    answer = {"Version": 1, "AccessKeyId": "from-a-program", "SecretAccessKey": SECRET, "SessionToken": TOKEN}
    path = save(aws_files, "answer.json", {**answer, "Expiration": "2100-01-01T00:00:00Z"})
    save(aws_files, "config", f"[default]\ncredential_process = /bin/cat {path}\n")
    # then
    given = found("s3://b/k").provider()
    assert (given["access_key_id"], given["secret_access_key"], given["token"]) == ("from-a-program", SECRET, TOKEN)
    # and they are asked for again before they could have ended
    assert 0 < (given["expires_at"].timestamp() - time.time()) <= 600


@pytest.mark.parametrize("program", ["/nonexistent/program", "/bin/false", f"/bin/echo {SECRET}"])
def test_programs_that_give_no_credentials(program, aws_files, moto):
    # given
    save(aws_files, "config", f"[default]\ncredential_process = {program}\n")
    # then that is what is wrong, rather than that an object is absent
    for ask in (lambda store: store.get("info"), lambda store: store.exists("info"), lambda store: store.reach()):
        with pytest.raises(AuthenticationError, match="AWS tools") as caught:
            ask(open_store(f"s3://{moto.url}/program-{program.count('/')}-{len(program)}/em"))
        assert SECRET not in str(caught.value)


def test_half_of_the_credentials(monkeypatch):
    # given
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    # then
    with pytest.raises(AuthenticationError, match="AWS_SECRET_ACCESS_KEY"):
        found("s3://b/k")


# --- Google


@pytest.fixture(scope="module")
def service_account() -> dict[str, str]:
    """The key of a service account that nobody has."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "0123456789abcdef",
        "private_key": key.private_bytes(*form).decode(),
        "client_email": "robot@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }


def shows(text: str, account: dict[str, str]) -> bool:
    """Whether a line of the private key is in a text."""
    return any(line in text for line in account["private_key"].splitlines() if not line.startswith("-----"))


def test_key_of_a_service_account(secrets_folder, service_account):
    # given one for a bucket, and one for all others
    other = {**service_account, "client_email": "other@project.iam.gserviceaccount.com"}
    path = save(secrets_folder, "google-secret.json", service_account)
    save(secrets_folder, "mine-google-secret.json", other)
    # then
    yours, mine = found("gs://yours/k"), found("gs://mine/k")
    assert json.loads(yours.settings["service_account_key"]) == service_account
    assert json.loads(mine.settings["service_account_key"]) == other
    assert yours.origin == f"{path} (robot@project.iam.gserviceaccount.com)"
    # and it is one that the client takes
    assert bucket_client(parse_location("gs://yours/k")).reads
    # and one that is given goes first
    given = found("gs://mine/k", secrets=json.dumps(service_account))
    assert json.loads(given.settings["service_account_key"]) == service_account


def test_application_default_credentials(service_account, tmp_path, monkeypatch):
    # given
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", save(tmp_path, "account.json", service_account))
    # then
    credentials = found("gs://b/k")
    assert credentials.provider is not None
    assert "robot@project.iam.gserviceaccount.com" in credentials.origin
    assert not shows(repr(credentials), service_account)


def test_nobody_at_google(monkeypatch, tmp_path):
    # given
    monkeypatch.setenv("HOME", str(tmp_path))
    # then
    with pytest.raises(AuthenticationError) as caught:
        found("gs://b/k")
    for word in (*secret_folders(), "b-google-secret.json", "GOOGLE_APPLICATION_CREDENTIALS", "anonymous: true"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text", [None, f'{{"private_key": "{SECRET}', f'{{"type": "authorized_user", "x": "{SECRET}"}}']
)
def test_damaged_application_default_credentials(text, monkeypatch, tmp_path):
    # given
    path = str(tmp_path / "account.json") if text is None else save(tmp_path, "account.json", text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    # then the file at fault is named
    with pytest.raises(AuthenticationError) as caught:
        found("gs://b/k")
    assert path in str(caught.value)
    assert SECRET not in str(caught.value)


def test_token_of_google(secrets_folder):
    save(secrets_folder, "google-secret.json", f" {TOKEN}\n")
    assert found("gs://b/k").provider()["token"] == TOKEN
    assert found("gs://b/k", secrets="given").provider()["token"] == "given"


# --- web servers


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"user": "me", "password": SECRET}, "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
        ({"user": "mé", "password": "字"}, "Basic " + base64.b64encode("mé:字".encode()).decode()),
        ({"token": TOKEN}, f"Bearer {TOKEN}"),
        (TOKEN, f"Bearer {TOKEN}"),
        (None, None),
    ],
)
def test_web_servers(secret, header, secrets_folder, tmp_path):
    # given a server that wants to know who asks, or doesn't
    (tmp_path / "info").write_text("{}")
    if secret is not None:
        save(secrets_folder, "http-secret.json", secret)
    with web_server(tmp_path, authorization=header) as server:
        # then
        assert bytes(open_store(server.url).get("info").data) == b"{}"
        assert found(server.url).origin == ("nobody" if secret is None else found(server.url).origin)
        # and others are told that they are not known
        if header:
            stranger = open_store(parse_location(server.url, StoreOptions(anonymous=True)))
            with pytest.raises(ForbiddenError):
                stranger.get("info")


def test_web_servers_have_their_own_files(secrets_folder):
    # given
    save(secrets_folder, "http-secret.json", "general")
    save(secrets_folder, "host.org-http-secret.json", "of-the-host")
    save(secrets_folder, "host.org:81-http-secret.json", "of-the-port")
    # then
    for url, token in (
        ("https://host.org/em", "of-the-host"),
        ("http://host.org:80/em", "of-the-host"),
        ("http://host.org:81/em", "of-the-port"),
        ("http://other.org/em", "general"),
    ):
        assert found(url).headers == {"Authorization": f"Bearer {token}"}


# --- what can't be used


@pytest.mark.parametrize(
    ("url", "name", "content"),
    [
        ("s3://b/k", "aws-secret.json", f'{{"AWS_SECRET_ACCESS_KEY": "{SECRET}"'),
        ("s3://b/k", "aws-secret.json", f'{{"AWS_SECRET_ACCESS_KEY": "{SECRET}"}}'),
        ("s3://b/k", "aws-secret.json", f'{{"AWS_ACCESS_KEY_ID": 5, "AWS_SECRET_ACCESS_KEY": "{SECRET}"}}'),
        ("s3://b/k", "aws-secret.json", SECRET),
        ("s3://b/k", "aws-secret.json", f'["{SECRET}"]'),
        ("s3://b/k", "aws-secret.json", ""),
        ("s3://b/k", "aws-secret.json", b"\xff\xfe" + SECRET.encode()),
        ("gs://b/k", "google-secret.json", f'{{"private_key": "{SECRET}"'),
        ("gs://b/k", "google-secret.json", f'{{"private_key": "{SECRET}"}}'),
        ("gs://b/k", "google-secret.json", f'{{"type": "authorized_user", "refresh_token": "{SECRET}"}}'),
        ("gs://b/k", "google-secret.json", ""),
        ("gs://b/k", "google-secret.json", f"{SECRET}\n{SECRET}"),
        ("https://h/k", "http-secret.json", f'{{"user": "{SECRET}'),
        ("https://h/k", "http-secret.json", f'{{"user": "me", "pass": "{SECRET}"}}'),
        ("https://h/k", "http-secret.json", f"{SECRET}\nX-Header: {SECRET}"),
        ("https://h/k", "http-secret.json", "\n"),
    ],
)
def test_what_cannot_be_used_is_not_repeated(url, name, content, secrets_folder):
    # given
    data = content if isinstance(content, bytes) else content.encode()
    secrets_folder.mkdir()
    (secrets_folder / name).write_bytes(data)
    # then
    with pytest.raises(AuthenticationError) as caught:
        found(url)
    assert str(secrets_folder / name) in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    # and the same where it is given
    if isinstance(content, str) and content:
        with pytest.raises(AuthenticationError, match="secrets given") as caught:
            found(url, secrets=content)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(secrets_folder):
    # given
    path = save(secrets_folder, "aws-secret.json", s3_keys("key"))
    os.chmod(path, 0)
    # then
    with pytest.raises(AuthenticationError, match="Permission denied"):
        found("s3://b/k")


# --- nothing shows them


def everything_said(error: BaseException) -> str:
    """An error with its causes and its traceback, and what it is made from."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)


def given_secrets(*secrets: str) -> list[str]:
    """In how many ways a secret can be written."""
    return [form for secret in secrets for form in (secret, base64.b64encode(secret.encode()).decode())]


@pytest.mark.parametrize("url", ["s3://b/k", "gs://b/k", "https://host/k", "s3://http://127.0.0.1:9/b/k"])
def test_descriptions_have_no_secrets(url, service_account):
    # given
    by_protocol = {"s3": s3_keys("key", AWS_SESSION_TOKEN=TOKEN), "gs": service_account}
    secrets = by_protocol.get(url.partition(":")[0], {"user": "me", "password": SECRET})
    place = parse_location(url, StoreOptions(secrets=json.dumps(secrets)))
    client = bucket_client(place)
    store = open_store(place)
    # when everything is there that is made when it is needed
    said = [client.credentials, client.reads, client.writes, client.multipart]
    # then
    said += [client, place, place.options, place.options.to_json(), place.url, store, store.url, place.below("x")]
    said += [place.bucket, replace(place, alias="x")]
    text = " ".join(form(each) for each in said for form in (repr, str))
    for secret in given_secrets(SECRET, TOKEN, f"me:{SECRET}"):
        assert secret not in text
    assert not shows(text, service_account)


@pytest.mark.parametrize("form", [lambda keys: keys, json.dumps])
def test_volumes_have_no_secrets(form, moto):
    # given a volume in a bucket, for whose credentials nobody else is asked
    make_bucket(moto, f"volumes-{form.__name__.strip('<>')}")
    url = f"s3://{moto.url}/volumes-{form.__name__.strip('<>')}/em"
    secrets = form(s3_keys(moto.key, AWS_SESSION_TOKEN=TOKEN))
    info = CloudVolume.create_new_info(
        num_channels=1, layer_type="image", data_type="uint8", encoding="raw", resolution=[4, 4, 40],
        voxel_offset=[0, 0, 0], chunk_size=[8, 8, 8], volume_size=[16, 16, 16],
    )  # fmt: skip
    vol = CloudVolume(url, info=info, secrets=secrets)
    # when it is written, and read
    vol.commit_info()
    vol.commit_provenance()
    vol[:] = np.ones((16, 16, 16), np.uint8)
    assert vol[0:4, 0:4, 0:4].all()
    # then
    text = " ".join((repr(vol), str(vol), vol._repr_html_(), repr(vol.info), repr(vol.provenance), vol.cloudpath))
    text += "".join(repr(each) for each in (vol.image, vol.meta, vol.cache, vol._context))
    with pytest.raises(CvbatchError) as caught:
        vol[0:4, 0:4, 100:200]
    text += everything_said(caught.value)
    # nor in what was written
    store = open_store(parse_location(url, StoreOptions(secrets=json.dumps(s3_keys(moto.key)))))
    keys = list(store.list())
    assert {"info", "provenance"} < set(keys)
    text += "".join(bytes(store.get(key).data).decode("latin1") for key in keys)
    for secret in given_secrets(SECRET, TOKEN):
        assert secret not in text


def test_jobs_have_no_secrets():
    # given a job from a bucket to another, with credentials of both
    source, target = (
        parse_location(f"s3://{name}/em", StoreOptions(secrets=json.dumps(s3_keys("key", secret)), region_name="eu"))
        for name, secret in (("source", SECRET), ("target", TOKEN))
    )
    scale = make_scale((64, 64, 64))
    job = Job(
        kind="transfer",
        source=Source(source, scale),
        destination=target,
        voxel=VoxelType("image", "uint8", 1),
        levels=(Level(scale, Vec.ones()),),
        region=scale.bounds,
        translate=Vec.zeros(),
        downsampling=Downsampling("average"),
        compress=ByteEncoding("gzip"),
    )
    spec = PlanSpec((PassSpec(0, 1, Vec(64, 64, 64), Vec(64, 64, 64)),), 1, 1 << 30, 1)
    # when
    text = json.dumps(job_document(job, spec)) + repr(job) + repr(spec)
    # then it says how the buckets are reached, and not as whom
    assert '"region_name": "eu"' in text
    for secret in given_secrets(SECRET, TOKEN):
        assert secret not in text


def test_requests_that_are_refused_say_nothing(moto, caplog):
    # given a bucket, and a wrong secret, a wrong token, and a user that there is not
    with with_users(moto) as admin:
        make_bucket(admin, "refusing")
        caplog.set_level(logging.DEBUG)
        for keys, words in (
            (s3_keys(admin.key), "SignatureDoesNotMatch"),
            (s3_keys(admin.key, AWS_SESSION_TOKEN=TOKEN), "InvalidToken"),
            (s3_keys("nobody"), "InvalidAccessKeyId"),
        ):
            options = StoreOptions(secrets=json.dumps(keys))
            store = open_store(parse_location(f"s3://{moto.url}/refusing/em", options))
            for ask in (
                lambda store: store.get("info"),
                lambda store: store.get_range("info", 0, 5),
                lambda store: store.put("info", Blob(b"{}")),
                lambda store: store.create("info", b"{}"),
                lambda store: store.delete("info"),
                lambda store: list(store.list()),
                lambda store: store.reach(),
            ):
                # then they are told that they are not known
                with pytest.raises(AuthenticationError) as caught:
                    ask(store)
                # and by what is said and logged nobody learns more
                said = everything_said(caught.value)
                assert words in said
                assert "secrets given by the caller" in said
                for secret in given_secrets(SECRET, TOKEN):
                    assert secret not in said
    for secret in given_secrets(SECRET, TOKEN):
        assert secret not in caplog.text


def test_requests_of_profiles_say_nothing(moto, aws_files, caplog):
    # given
    save(aws_files, "credentials", profile("default", "nobody") + f"aws_session_token = {TOKEN}\n")
    with with_users(moto) as admin:
        make_bucket(admin, "refusing-profiles")
        caplog.set_level(logging.DEBUG)
        # when
        with pytest.raises(AuthenticationError, match="profile default") as caught:
            open_store(f"s3://{moto.url}/refusing-profiles/em").get("info")
    # then
    assert "botocore" in caplog.text
    for secret in given_secrets(SECRET, TOKEN):
        assert secret not in everything_said(caught.value) + caplog.text


@pytest.mark.parametrize("secret", [{"user": "me", "password": SECRET}, SECRET])
def test_web_servers_that_refuse_say_nothing(secret, secrets_folder, tmp_path, caplog):
    # given
    caplog.set_level(logging.DEBUG)
    save(secrets_folder, "http-secret.json", secret)
    with web_server(tmp_path, authorization="Bearer other") as server:
        # when
        with pytest.raises(ForbiddenError) as caught:
            open_store(server.url).get("info")
        said = everything_said(caught.value) + caplog.text
    # then
    for form in given_secrets(SECRET, f"me:{SECRET}"):
        assert form not in said


def test_a_damaged_private_key_is_not_repeated(secrets_folder, service_account, caplog):
    # given a key of which a line is lost
    caplog.set_level(logging.DEBUG)
    lines = service_account["private_key"].splitlines(keepends=True)
    save(secrets_folder, "google-secret.json", {**service_account, "private_key": "".join(lines[:5] + lines[6:])})
    # when
    with pytest.raises(CvbatchError) as caught:
        open_store("gs://damaged-key/em").get("info")
    # then
    assert not shows(everything_said(caught.value) + caplog.text, service_account)


# --- what is not needed is not begun


def test_local_volumes_do_not_ask_for_credentials():
    # when a program uses files and memory only
    script = (
        "import sys; from cvbatch.storage import open_store, Blob; open_store('mem://x').put('k', Blob(b'1'));"
        "print([name for name in ('boto3', 'botocore', 'google.auth', 'obstore', 'cloudfiles') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    # then
    assert done.stdout.strip() == "[]"
