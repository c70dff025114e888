"""What the URL of a bucket or web server means: the same as to CloudVolume."""

import json
import subprocess
import sys
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.errors import InputError, UnsupportedFormatError, UnsupportedProtocolError
from cvbatch.storage import StoreOptions, parse_location

MATRIX = "https://s3-hpcrc.rc.princeton.edu"
TIGERDATA = "https://td.princeton.edu"
LOCAL = "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("text", "url", "endpoint", "bucket", "key"),
    [
        ("s3://b/k", "s3://b/k", "", "b", "k"),
        ("s3://b", "s3://b", "", "b", ""),
        ("s3://b/", "s3://b", "", "b", ""),
        ("s3://b/k/l/", "s3://b/k/l", "", "b", "k/l"),
        ("s3://b//k///l//", "s3://b/k/l", "", "b", "k/l"),
        (" s3://b/k\n", "s3://b/k", "", "b", "k"),
        ("gs://b/k", "gs://b/k", "", "b", "k"),
        ("gs://b/a b/c#d?e%20f", "gs://b/a b/c#d?e%20f", "", "b", "a b/c#d?e%20f"),
        ("s3://https://host.org/b/k", "s3://https://host.org/b/k", "https://host.org", "b", "k"),
        ("s3://https://host.org/b/c#d?e", "s3://https://host.org/b/c#d?e", "https://host.org", "b", "c#d?e"),
        (f"s3://{LOCAL}/b/k/", f"s3://{LOCAL}/b/k", LOCAL, "b", "k"),
        (f"s3://{LOCAL}/b", f"s3://{LOCAL}/b", LOCAL, "b", ""),
        ("s3://http://[::1]:9000/b/k", "s3://http://[::1]:9000/b/k", "http://[::1]:9000", "b", "k"),
        ("https://host.org/a/b", "https://host.org/a/b", "https://host.org", "host.org", "a/b"),
        ("http://host.org:81/a/b/", "http://host.org:81/a/b", "http://host.org:81", "host.org:81", "a/b"),
        ("https://host.org", "https://host.org", "https://host.org", "host.org", ""),
        ("https://host.org/", "https://host.org", "https://host.org", "host.org", ""),
        ("matrix://b/k", "matrix://b/k", MATRIX, "b", "k"),
        ("tigerdata://b/k/", "tigerdata://b/k", TIGERDATA, "b", "k"),
    ],
)
def test_parts_of_a_url(text, url, endpoint, bucket, key):
    # when, in all the ways to write that a volume is precomputed
    for written in (text.strip(), f"precomputed://{text.strip()}", f"{text.strip()}|neuroglancer-precomputed:", text):
        place = parse_location(written)
        # then
        assert (place.url, place.endpoint, place.bucket, place.key) == (url, endpoint, bucket, key)
        assert place.is_remote


@pytest.mark.parametrize(
    ("text", "key", "url"),
    [
        ("https://h/my%20data/em", "my data/em", "https://h/my%20data/em"),
        ("https://h/my data/em", "my data/em", "https://h/my%20data/em"),
        ("https://h/a%23b%3Fc", "a#b?c", "https://h/a%23b%3Fc"),
        ("https://h/100%25", "100%", "https://h/100%25"),
        ("https://h/%C3%A9", "é", "https://h/%C3%A9"),
        ("https://h/a+b=c,d:e@f", "a+b=c,d:e@f", "https://h/a+b=c,d:e@f"),
    ],
)
def test_web_addresses_have_percents_where_the_folders_of_the_server_have_other_characters(text, key, url):
    place = parse_location(text)
    assert (place.key, place.url) == (key, url)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("s3://", UnsupportedProtocolError, "empty"),
        ("gs:///", UnsupportedProtocolError, "empty"),
        (f"s3://{LOCAL}/", UnsupportedProtocolError, "empty"),
        ("matrix://", UnsupportedProtocolError, "empty"),
        ("file:///..", UnsupportedProtocolError, "empty"),
        ("https://", UnsupportedProtocolError, "server"),
        ("https:///em", UnsupportedProtocolError, "server"),
        ("s3://https:///b/k", UnsupportedProtocolError, "server"),
        ("http://[::1/em", UnsupportedProtocolError, "server"),
        ("http://host:99999/em", UnsupportedProtocolError, "server"),
        ("s3://b/../k", UnsupportedProtocolError, r"\.\."),
        ("gs://b/k/..", UnsupportedProtocolError, r"\.\."),
        ("gs://b/./k", UnsupportedProtocolError, r"\.\."),
        ("https://h/a/../b", UnsupportedProtocolError, r"\.\."),
        ("https://h/a/%2e%2e/b", UnsupportedProtocolError, r"\.\."),
        ("matrix://b/../k", UnsupportedProtocolError, r"\.\."),
        ("https://h/em?version=2", UnsupportedProtocolError, "%3F"),
        ("https://h/em#top", UnsupportedProtocolError, "%23"),
        ("azure://b/k", UnsupportedProtocolError, "azure.*matrix"),
        ("my-lab.org://b/k", UnsupportedProtocolError, "my-lab.org"),
        ("ngauth+https://h/em", UnsupportedProtocolError, "ngauth"),
        ("graphene://https://h/table", UnsupportedFormatError, "graphene"),
        ("zarr://s3://b/k", UnsupportedFormatError, "zarr"),
        ("s3://b/k/|zarr2:", UnsupportedFormatError, "zarr2"),
        ("https://h/em/|n5:", UnsupportedFormatError, "n5"),
    ],
)
def test_what_is_no_volume_of_ours_is_refused(text, kind, message):
    with pytest.raises(kind, match=message) as caught:
        parse_location(text)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:pass-word@host/em",
        "s3://https://me:pass-word@host/b/k",
        "precomputed://http://pass-word@host",
        "azure://https://me:pass-word@host/b",
    ],
)
def test_passwords_in_urls_are_refused_and_not_repeated(text):
    with pytest.raises(UnsupportedProtocolError, match="secrets") as caught:
        parse_location(text)
    assert "pass-word" not in str(caught.value)


def test_signed_urls_are_not_repeated():
    with pytest.raises(UnsupportedProtocolError) as caught:
        parse_location("https://host/em?X-Amz-Signature=pass-word")
    assert "pass-word" not in str(caught.value)


# --- options


@pytest.mark.parametrize("endpoint", [LOCAL, f"{LOCAL}/", f" {LOCAL} "])
def test_endpoint_is_the_server_of_s3_without_one(endpoint):
    # given
    options = StoreOptions(endpoint=endpoint)
    # then
    place = parse_location("s3://b/k", options)
    assert (place.url, place.endpoint, place.bucket, place.key) == (f"s3://{LOCAL}/b/k", LOCAL, "b", "k")
    # and what the URL says goes first
    assert parse_location("s3://https://host/b/k", options).endpoint == "https://host"
    assert parse_location("matrix://b/k", options).endpoint == MATRIX
    # and other protocols than S3 have their server, or none
    assert parse_location("https://host/b/k", options).endpoint == "https://host"
    assert parse_location("mem://b/k", options).endpoint == ""
    with pytest.raises(UnsupportedProtocolError, match="endpoint"):
        parse_location("gs://b/k", options)


@pytest.mark.parametrize(
    "endpoint", ["host:9000", "host", "https://", "https://host/prefix", "s3://host", "ftp://host"]
)
def test_endpoint_is_a_server_and_nothing_else(endpoint):
    with pytest.raises(UnsupportedProtocolError, match=r"https://example\.org"):
        parse_location("s3://b/k", StoreOptions(endpoint=endpoint))


def test_passwords_in_endpoints_are_refused_and_not_repeated():
    with pytest.raises(UnsupportedProtocolError, match="secrets") as caught:
        parse_location("s3://b/k", StoreOptions(endpoint="https://me:pass-word@host"))
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "endpoint", "url"),
    [
        ("gs://b/k", "", "https://storage.googleapis.com/b/k"),
        ("s3://b/k", "", "https://s3.amazonaws.com/b/k"),
        ("s3://b/k", LOCAL, f"{LOCAL}/b/k"),
        (f"s3://{LOCAL}/b/k", "", f"{LOCAL}/b/k"),
        ("matrix://b/k", "", f"{MATRIX}/b/k"),
        ("gs://b/a#b c", "", "https://storage.googleapis.com/b/a%23b%20c"),
        ("https://host/b/k", "", "https://host/b/k"),
        ("file:///b/k", "", "file:///b/k"),
        ("mem://b/k", "", "mem://b/k"),
    ],
)
def test_use_https(text, endpoint, url):
    # when
    options = StoreOptions(use_https=True, endpoint=endpoint)
    place = parse_location(text, options)
    # then
    assert place.url == url
    assert place.options is options
    assert parse_location(place.url, options) == place


# --- comparing


def test_one_place_has_several_names():
    # given
    names = [f"s3://{MATRIX}/b/k", "matrix://b/k", "precomputed://matrix://b/k/", f"s3://{MATRIX}/b//k"]
    places = [parse_location(name) for name in names]
    places.append(parse_location("s3://b/k", StoreOptions(endpoint=MATRIX, region_name="eu-west-1")))
    # then
    assert all(one.same_place(other) for one in places for other in places)


def test_other_places():
    # given
    names = ["s3://b/k", "gs://b/k", "mem://b/k", "matrix://b/k", "tigerdata://b/k", f"s3://{LOCAL}/b/k", "s3://c/k"]
    names += ["s3://b/l", "s3://b/k/l", "s3://b", f"{LOCAL}/b/k"]
    places = [parse_location(name) for name in names]
    # then
    assert not any(one.same_place(other) for one in places for other in places if one is not other)


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("s3://b", "s3://b/x/y z"),
        ("gs://b/k", "gs://b/k/x/y z"),
        (f"s3://{LOCAL}/b/k", f"s3://{LOCAL}/b/k/x/y z"),
        ("matrix://b/k", "matrix://b/k/x/y z"),
        ("https://host", "https://host/x/y%20z"),
        ("https://host/a", "https://host/a/x/y%20z"),
    ],
)
def test_below(above, below):
    # given
    options = StoreOptions(anonymous=True)
    # then
    place = parse_location(above, options).below("x", "y z")
    assert place.url == below
    assert place == parse_location(below)
    assert place.options is options


# --- in general

letters = st.sampled_from("abcXYZ019-_.~!$&'()*+,;=:@#?% é字\\^`{}[]<>\"")
parts = st.text(letters, min_size=1, max_size=8).filter(lambda part: part.strip() == part and part not in (".", ".."))
keys = st.lists(parts, max_size=4).map("/".join)
buckets = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
hosts = st.from_regex(r"https?://[a-z][a-z0-9-]{0,8}(\.[a-z]{2,3})?(:[1-9][0-9]{0,3})?", fullmatch=True)
prefixes = st.sampled_from(["s3://", "gs://", "matrix://", "tigerdata://"]) | hosts.map("s3://{}/".format)


@given(prefixes, buckets, keys, st.sampled_from(["", "/", "//"]), st.booleans())
def test_a_url_of_a_bucket_says_everything(prefix, bucket, key, slashes, precomputed):
    # given
    text = f"{'precomputed://' if precomputed else ''}{prefix}{bucket}/{key}{slashes}"
    # when
    place = parse_location(text)
    # then
    assert (place.bucket, place.key) == (bucket, key)
    assert parse_location(place.url) == place
    assert parse_location(place.url).url == place.url


@given(hosts, keys, st.sampled_from(["", "/"]))
def test_a_url_of_a_server_says_everything(host, key, slashes):
    # when
    place = parse_location(f"{host}/{quote(key)}{slashes}")
    # then
    assert (place.endpoint, place.key) == (host, key)
    assert parse_location(place.url) == place
    assert parse_location(place.url).url == place.url


plain_keys = st.lists(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_. %-]{0,5}[A-Za-z0-9_]", fullmatch=True), max_size=4).map(
    "/".join
)


@given(prefixes | st.just(""), hosts, buckets, plain_keys, st.sampled_from(["", "/"]))
def test_urls_mean_the_same_to_cloudfiles(prefix, host, bucket, key, slashes):
    from cloudfiles import paths

    # given a URL of a bucket or of a web server
    text = f"{prefix}{bucket}/{key}{slashes}" if prefix else f"{host}/{quote(key)}{slashes}"
    # when
    ours, theirs = parse_location(text), paths.extract(text)
    # then
    assert ours.protocol == theirs.protocol
    assert ours.endpoint == (theirs.host or "")
    assert ours.alias == (theirs.alias or "")
    if prefix:
        assert (ours.bucket, ours.key) == (theirs.bucket, theirs.path.rstrip("/"))
        by_https = parse_location(text, StoreOptions(use_https=True))
        assert unquote(by_https.url) == unquote(paths.to_https_protocol(text).rstrip("/"))
    else:
        assert ours.key == unquote(theirs.path).rstrip("/")


# --- the user's own names of servers

OWN_ALIASES = """
import json, sys
from cvbatch.storage import parse_location
for url in sys.argv[1:]:
    try:
        place = parse_location(url)
        print(json.dumps([place.url, place.alias, place.endpoint, place.bucket, place.key]))
    except Exception as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


def test_names_that_the_user_gave_to_servers(tmp_path, monkeypatch):
    # given names of S3 servers in the user's file, and names of other things
    (tmp_path / ".cloudfiles").mkdir()
    aliases = {
        "lab": {"host": f"s3://{LOCAL}/"},
        "my-lab": {"host": "s3://https://lab.example.org"},
        "folder": {"host": "s3://https://lab.example.org/bucket/"},
        "google": {"host": "gs://bucket/"},
    }
    (tmp_path / ".cloudfiles" / "aliases.json").write_text(json.dumps(aliases))
    monkeypatch.setenv("HOME", str(tmp_path))
    # when another program, which begins with this file, is asked
    urls = ["lab://b/k/", "precomputed://my-lab://b", "matrix://b/k", "folder://b/k", "google://k"]
    done = subprocess.run(
        [sys.executable, "-c", OWN_ALIASES, *urls], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lab, my_lab, matrix, folder, google = map(json.loads, done.stdout.splitlines())
    # then
    assert lab == ["lab://b/k", "lab", LOCAL, "b", "k"]
    assert my_lab == ["my-lab://b", "my-lab", "https://lab.example.org", "b", ""]
    assert matrix == ["matrix://b/k", "matrix", MATRIX, "b", "k"]
    # and what is not a server is refused, with the names that could be meant
    for name, (kind, message) in (("folder", folder), ("google", google)):
        assert kind == "UnsupportedProtocolError"
        assert f"no store for {name}://" in message
        known = message.partition("there are")[2]
        assert "my-lab://" in known
        assert f"{name}://" not in known
