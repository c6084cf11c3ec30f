# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON schemas that are installed, and what they say of a document."""
import json

from tests.support import requirements
from tests.support.requirements import ROOT

FOLDER = ROOT / "experiments/schema"


def file_of(name):
    """@param name: as in the documents' member `schema`: ipidefer-lab/1"""
    return FOLDER / f"{name.replace('/', '-')}.schema.json"


class Schema:
    """One of them, read."""

    def __init__(self, name):
        self.draft = requirements.module("jsonschema", "python3-jsonschema").Draft202012Validator
        self.text = json.loads(file_of(name).read_text())
        self.draft.check_schema(self.text)
        self.validator = self.draft(self.text)

    def complaints(self, document):
        """@return what is wrong with a document, a sentence each"""
        return [f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                for error in self.validator.iter_errors(document)]

    def accepts(self, document):
        return self.validator.is_valid(document)
