"""Every request of OpenAI's dialect, translated for every native provider: it is valid there, it has all of the client's content, and
what was left out is named.

`make test-schemas` writes the translations (`tests/translations.rs`) and runs this. Requests are those of `tests/vectors`, and of the
recordings where they are there.
"""

import json
import pathlib
import re

import pytest

import content
import dialects

FOLDER = pathlib.Path(__file__).parents[2] / "target" / "translations"
KINDS = ["anthropic", "azure-openai", "bedrock", "cohere", "gemini", "mistral", "ollama", "vertex"]

# Why a request may be refused: what the provider cannot be told in any way, and what is no request of OpenAI's at all.
REFUSALS = [
    # There is no word for it, and without it the answer would be to another question.
    ("anthropic|vertex", r"Anthropic's models do not hear"),
    ("cohere", r"Cohere's models do not hear"),
    ("ollama", r"Ollama's models do not hear"),
    ("anthropic|vertex|bedrock|cohere|ollama", r"gives one answer to a request, not `n`"),
    ("cohere|ollama", r"models read texts and images, not other files"),
    ("cohere", r"Cohere takes texts for results of tools, not images"),
    ("cohere", r"tool_choice names `.*`, which is not among the tools"),
    # The gateway fetches nothing.
    ("bedrock", r"Bedrock takes files in the request itself"),
    ("ollama", r"Ollama takes images in the request only"),
    ("bedrock|cohere|gemini|ollama|vertex", r"files uploaded beforehand cannot be used"),
    ("anthropic|cohere|mistral|ollama|vertex", r"models do not watch: there is a video"),
    ("vertex", r"Claude on Vertex AI reads images and documents only as data"),
    # A part for which the vocabulary has no word, Anthropic's own words, and mistakes that recordings were made of.
    (".*", r"Invalid value: '(tool)'"),
    (".*", r"Missing required parameter: 'messages\[1\]\.(content\[0\]\.type|tool_calls\[0\]\.id)'"),
    (".*", r"You must provide a model parameter"),
]

# What is known not to be valid: kind, case, problem. Each has to occur as long as the recordings are there, or it is to go.
GAPS = [
    # GenerateContentConfig of the same SDK has it, and is written there: `_GenerateContentConfig_to_mldev` in models.py.
    ("gemini|vertex", r"vectors/gemini/images-made", r"unknown member `imageConfig`"),
]


def load(kind):
    path = FOLDER / f"{kind}.jsonl"
    assert path.is_file(), f"{path} is not there: `make test-schemas` writes it"
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def dialect(line, kind):
    return "anthropic" if kind == "vertex" and line["model"].startswith("claude") else kind.replace("vertex", "gemini")


def told(wrong):
    return f"{len(wrong)}:\n" + "\n".join(wrong[:40])


@pytest.mark.parametrize("kind", KINDS)
def test_every_body_is_valid(kind):
    wrong, met = [], set()
    for line in load(kind):
        if "body" not in line:
            continue
        check = dialects.of(kind, line["model"])
        found = check(line["body"])
        if kind == "azure-openai":
            # OpenAI's dialect is passed as it is: what is wrong with the client's own request is still wrong with it.
            own = set(check({**line["client"], "model": "m"}))
            found = [problem for problem in found if problem not in own]
        for problem in found:
            gap = next((g for g in GAPS if matches(g, kind, line["case"], problem)), None)
            met.add(gap)
            wrong += [] if gap else [f"{line['case']} to {line['model']}: {problem}"]
    assert not wrong, told(wrong)
    if has_recordings():
        stale = [gap for gap in GAPS if re.fullmatch(gap[0], kind) and gap not in met]
        assert not stale, f"these gaps are closed, and can go: {stale}"


def matches(gap, kind, case, problem):
    return re.fullmatch(gap[0], kind) and re.fullmatch(gap[1], case) and re.search(gap[2], problem)


@pytest.mark.parametrize("kind", KINDS)
def test_all_content_is_there(kind):
    lines = [line for line in load(kind) if "body" in line]
    wrong = [f"{l['case']} to {l['model']}: {what}" for l in lines for what in content.missing(l["client"], l["body"], l["dropped"])]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_is_named(kind):
    wrong = []
    for line in (line for line in load(kind) if "body" in line):
        lost = content.unreported(dialect(line, kind), line["client"], line["body"], line["dropped"])
        wrong += [f"{line['case']} to {line['model']}: {what}" for what in lost]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_have_a_reason(kind):
    refused = [(line["case"], line["refused"]) for line in load(kind) if "refused" in line]
    known = lambda why: any(re.fullmatch(k, kind) and re.search(reason, why["message"]) for k, reason in REFUSALS)
    wrong = [f"{case}: {why}" for case, why in refused if why["status"] != 400 or not known(why)]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_find_what_is_wrong(kind):
    """A check that finds nothing ever would pass as well."""
    lines = [line for line in load(kind) if "body" in line and line["case"] in ("vectors/anthropic/turns", "vectors/bedrock/tools")]
    assert lines
    for line in lines:
        check, body = dialects.of(kind, line["model"]), line["body"]
        turns = "contents" if "contents" in body else "messages"
        assert check({**body, "unheard_of": 1})
        assert check({**body, turns: [{**turn, "unheard_of": 1} for turn in body[turns]]})
        assert check({name: value for name, value in body.items() if name != turns})
        assert content.missing(line["client"], {**body, turns: body[turns][:1], "system": ""}, line["dropped"])
        assert content.unreported(dialect(line, kind), {**line["client"], "seed": 7}, {}, [])


def has_recordings():
    return any(not line["case"].startswith("vectors/") for line in load("anthropic"))


def test_recorded_requests_are_among_them():
    if not has_recordings():
        pytest.skip("no recordings: only the requests of tests/vectors were checked")
