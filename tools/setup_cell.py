# Set-up: on Colab it fetches what is missing there.
import importlib.util
import subprocess
import sys
from pathlib import Path

# Where the book is published; `make repository` writes it here.
REPOSITORY = ""
# The book's code as a file, from the zip of `make colab`, is taken before that.
folders = (".", "drive/MyDrive", "drive/MyDrive/keep-the-crack")
found = [file for one in folders for file in Path(one).glob("keep_the_crack-*.whl")]
packages = {"chapters_code": str(max(found)) if found else f"git+{REPOSITORY}"}
packages["d2l"] = "d2l==0.17.0"  # the code of another book, which this chapter tries
missing = [name for name in packages if importlib.util.find_spec(name) is None]

if "google.colab" not in sys.modules:
    if "chapters_code" in missing:
        raise ModuleNotFoundError("No book here: run `make lab` in the book's folder.")
    print("Set-up: the book's code is here, nothing to install.")
elif not missing:
    print("Set-up: all is here, nothing to install.")
elif "chapters_code" in missing and not found and not REPOSITORY:
    raise ModuleNotFoundError(
        "Colab does not find the book's code. Take the file keep_the_crack-….whl from "
        "the zip that `make colab` wrote. Upload it here (folder sign at the left), or "
        "put it into a folder keep-the-crack of your Drive and mount the Drive. Then "
        "run this cell again."
    )
else:
    # --no-deps: Colab's own torch, torchvision, numpy and matplotlib stay.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    pip += [packages[name] for name in missing]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        print(*done.stderr.splitlines()[-8:], sep="\n")
        raise RuntimeError("pip failed; its last words are above. Run this cell again.")
    importlib.invalidate_caches()
    print(f"Set-up: installed {' and '.join(missing)}; Colab's own packages stay.")
