# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples for CI (docs/examples): that they are what GitHub and GitLab take, and that
what they run is there. Both have far more than is allowed here; an example that needs more
of it adds it."""
import functools
import re
import subprocess

import pytest

from tests.support import requirements
from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
FOLDER = ROOT / "docs/examples"
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
VALUES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
STEP = {
    "type": "object",
    "properties": {"name": TEXT, "if": TEXT, "run": TEXT, "env": VALUES, "with": VALUES,
                   "uses": {"type": "string", "pattern": r"^[\w-]+/[\w/-]+@[\w.-]+$"}},
    "oneOf": [{"required": ["run"]}, {"required": ["uses"]}],
    "dependentRequired": {"with": ["uses"]},
    "additionalProperties": False}
# docs.github.com, "Workflow syntax for GitHub Actions".
GITHUB = {
    "type": "object",
    "required": ["name", "on", "jobs"],
    "additionalProperties": False,
    "properties": {
        "name": TEXT,
        "on": {"type": "object", "minProperties": 1, "additionalProperties": False,
               "properties": {"pull_request": {}, "push": {},
                              "schedule": {"type": "array", "items": {
                                  "type": "object", "required": ["cron"],
                                  "properties": {"cron": {"pattern": r"^(\S+ ){4}\S+$"}},
                                  "additionalProperties": False}}}},
        "permissions": {"type": "object",
                        "additionalProperties": {"enum": ["read", "write", "none"]}},
        "env": VALUES,
        "jobs": {"type": "object", "minProperties": 1, "additionalProperties": {
            "type": "object",
            "required": ["runs-on", "steps"],
            "additionalProperties": False,
            "properties": {"runs-on": TEXT, "container": TEXT, "env": VALUES, "needs": TEXT,
                           "timeout-minutes": {"type": "integer", "minimum": 1},
                           "steps": {"type": "array", "items": STEP, "minItems": 1}}}}}}
JOB = {
    "type": "object",
    "required": ["script"],
    "additionalProperties": False,
    "properties": {
        "stage": TEXT, "image": TEXT, "timeout": TEXT, "script": TEXTS, "before_script": TEXTS,
        "variables": VALUES,
        "cache": {"type": "object", "required": ["key", "paths"], "additionalProperties": False,
                  "properties": {"paths": TEXTS, "key": {"anyOf": [TEXT, {
                      "type": "object", "required": ["files"], "additionalProperties": False,
                      "properties": {"prefix": TEXT, "files": TEXTS | {"maxItems": 2}}}]}}},
        "allow_failure": {"anyOf": [{"type": "boolean"}, {
            "type": "object", "required": ["exit_codes"], "additionalProperties": False,
            "properties": {"exit_codes": {"type": ["integer", "array"]}}}]},
        "artifacts": {"type": "object", "required": ["paths"], "additionalProperties": False,
                      "properties": {"paths": TEXTS,
                                     "when": {"enum": ["always", "on_success", "on_failure"]},
                                     "reports": {"type": "object", "properties": {"junit": TEXT},
                                                 "additionalProperties": False}}}}}
# docs.gitlab.com, "CI/CD YAML syntax reference".
GITLAB = {
    "type": "object",
    "required": ["stages"],
    "properties": {"stages": TEXTS, "variables": VALUES},
    "additionalProperties": JOB}
# The contexts that expressions have, as far as the examples use them.
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
CONTEXT = re.compile(r"^\s*(env\.[A-Z_]+|hashFiles\((\s*'[^']+'\s*,?)+\)|github\.[\w.]+)\s*$")


def read(text):
    loaded = requirements.module("yaml", "python3-yaml").safe_load(text)
    # YAML 1.1, which Debian's module reads, takes the word "on" for true.
    if isinstance(loaded, dict) and True in loaded:
        loaded["on"] = loaded.pop(True)
    return loaded


def scripts_of(pipeline):
    """What shells are given, one text each."""
    if "jobs" in pipeline:
        return [step["run"] for job in pipeline["jobs"].values()
                for step in job["steps"] if "run" in step]
    return ["\n".join(job.get("before_script", []) + job["script"])
            for name, job in pipeline.items() if name not in ("stages", "variables")]


def in_shell(text):
    """@return what is wrong with a script"""
    done = subprocess.run(["bash", "-n"], input=text, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    return [done.stderr] if done.returncode else []


@functools.cache
def programs_options(command):
    done = subprocess.run([requirements.path("IPIDEFER_CLI"), "lab", command, "--help"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return set(re.findall(r"(--[a-z][a-z-]*)", done.stdout))


def in_commands(text):
    """@return what ipidefer is given that it does not take"""
    wrong = []
    for line in text.replace("\\\n", " ").splitlines():
        for command, rest in re.findall(r"ipidefer lab (\w+)(.*)", line):
            unquoted = re.sub(r"'[^']*'", "", rest)
            wrong += [f"ipidefer lab {command} has no {option}"
                      for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", unquoted)
                      if option not in programs_options(command)]
    for path in re.findall(r"(?<!\S)ipidefer/((?:setup|vmm|guest-patches)/[\w./-]+)", text):
        if not (ROOT / path).is_file():
            wrong.append(f"there is no {path}")
    return wrong


def complaints(text):
    """@return what is wrong with a pipeline, a sentence each"""
    jsonschema = requirements.module("jsonschema", "python3-jsonschema")
    yaml = requirements.module("yaml", "python3-yaml")
    try:
        pipeline = read(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    kind = GITHUB if "jobs" in pipeline else GITLAB
    wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
             for error in jsonschema.Draft202012Validator(kind).iter_errors(pipeline)]
    if wrong:
        return wrong
    if kind is GITLAB:
        wrong += [f"{name}: there is no stage {job['stage']}"
                  for name, job in pipeline.items() if name not in ("stages", "variables")
                  if job.get("stage", "test") not in pipeline["stages"]]
    else:
        if text.count("${{") != len(EXPRESSION.findall(text)):
            wrong.append("an expression does not end")
        known = set(pipeline.get("env", {}))
        for expression in EXPRESSION.findall(text):
            if not CONTEXT.match(expression):
                wrong.append(f"not an expression: {expression.strip()}")
            for name in re.findall(r"env\.(\w+)", expression):
                if name not in known:
                    wrong.append(f"there is no variable {name}")
        for job in pipeline["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/cache@") and \
                        not {"path", "key"} <= set(step.get("with", {})):
                    wrong.append("a cache has no path, or no key")
    for script in scripts_of(pipeline):
        wrong += in_shell(script) + in_commands(script)
    return wrong


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yml")))
class TestExamples:
    def test_is_as_it_should_be(self, name):
        assert complaints((FOLDER / name).read_text()) == []

    def test_is_explained(self, name):
        assert f"(examples/{name})" in (ROOT / "docs/CI.md").read_text()


@pytest.mark.parametrize("name, old, new, why", [
    ("github-workflow.yml", "runs-on:", "run-on:", "run-on"),
    ("github-workflow.yml", "actions/checkout@v4", "actions/checkout", "checkout"),
    ("github-workflow.yml", "    steps:\n", "    steps:\n      - name: nothing\n", "not valid"),
    ("github-workflow.yml", "env.IPIDEFER_REVISION }}", "env.REVISION }}", "no variable REVISION"),
    ("github-workflow.yml", "${{ env.IPIDEFER_REPOSITORY }}", "${{ secret }}", "not an expression"),
    ("github-workflow.yml", "          key: ipidefer-", "          keys: ipidefer-", "no key"),
    ("github-workflow.yml", "17 3 * * *", "17 3 *", "cron"),
    ("github-workflow.yml", "set +a\n", "if true\n", "syntax error"),
    ("github-workflow.yml", "--retries 3", "--retry 3", "has no --retry"),
    ("github-workflow.yml", "setup/prepare.sh", "setup/prepared.sh", "no setup/prepared.sh"),
    ("github-workflow.yml", "    container: debian:12", "   container: debian:12", "no YAML"),
    ("gitlab-ci.yml", "  - test\n", "  - build\n", "no stage test"),
    ("gitlab-ci.yml", "  script:", "  scripts:", "scripts"),
    ("gitlab-ci.yml", "chown runner out", "chown 'runner out", "unexpected EOF"),
    ("gitlab-ci.yml", "--as junit", "--like junit", "has no --like"),
    ("gitlab-ci.yml", "exit_codes: 77", "exit_code: 77", "not valid"),
])
def test_offenders_are_seen(name, old, new, why):
    text = (FOLDER / name).read_text()
    assert old in text
    found = complaints(text.replace(old, new, 1))
    assert found and why in " ".join(found), found
