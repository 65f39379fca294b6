"""Projects as BORIS writes them."""

import gzip
import json

VIDEO = "/elsewhere/M1/S1/reach_side_v001.mp4"


def behavior(code, kind="State event"):
    return {"type": kind, "key": "", "code": code, "description": "", "modifiers": {}}


def observation(events, files=None, lengths=None, offset=0.0, offsets=None, **more):
    files = files or {"1": [VIDEO], "2": []}
    paths = [path for shown in files.values() for path in shown]
    return {
        "file": files,
        "type": "MEDIA",
        "date": "2026-03-01T10:00:00",
        "description": "",
        "time offset": offset,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "media_info": {
            "length": lengths or dict.fromkeys(paths, 0.2),
            "fps": dict.fromkeys(paths, 500.0),
            "hasVideo": dict.fromkeys(paths, True),
            "hasAudio": dict.fromkeys(paths, False),
            "offset": offsets or {"1": 0.0},
        },
        **more,
    }


def project(path, observations, codes=("lift", "grab"), points=("chew",)):
    conf = [behavior(code) for code in codes]
    conf += [behavior(code, "Point event") for code in points]
    content = {
        "time_format": "hh:mm:ss",
        "project_date": "2026-03-01T10:00:00",
        "project_name": "reach",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {},
        "behaviors_conf": {str(n): entry for n, entry in enumerate(conf)},
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
