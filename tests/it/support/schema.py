# Judges TOML by a JSON Schema: standard input is {"schema": …, "files": [text, …]}, and each line of
# standard output is what is wrong with one file, as a JSON list; null where it is no TOML.
import json
import sys
import tomllib

import jsonschema

asked = json.load(sys.stdin)
jsonschema.Draft7Validator.check_schema(asked["schema"])
validator = jsonschema.Draft7Validator(asked["schema"])
for text in asked["files"]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        print("null")
        continue
    wrong = [
        "/".join(map(str, error.absolute_path)) + ": " + error.message[:200]
        for error in validator.iter_errors(data)
    ]
    print(json.dumps(sorted(wrong)))
