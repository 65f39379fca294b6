"""``import soupxr`` is light."""

import subprocess
import sys


def test_import_brings_neither_torch_nor_panel():
    code = (
        "import soupxr, sys; "
        "heavy = {'torch', 'panel', 'holoviews', 'matplotlib', 'h5py'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    import soupxr

    assert set(soupxr.__all__) == {
        "ArgumentError",
        "CheckpointError",
        "DownloadError",
        "FormatError",
        "InferenceError",
        "IngestError",
        "SoupError",
        "SoupWarning",
        "StoreError",
        "TrainingError",
        "VideoError",
        "__version__",
        "analysis",
        "create",
        "io",
        "local_client",
        "open",
        "sample_data",
        "set_options",
    }
    assert all(hasattr(soupxr, name) for name in soupxr.__all__)


def test_judging_needs_no_torch():
    code = (
        "import soupxr.evaluation.evaluate, soupxr.evaluation.thresholds, sys; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
