# Set-up, the same in every chapter: on Colab it fetches what is missing.
import importlib.util
import subprocess
import sys

# Where the book is published; `make repository` writes it here.
REPOSITORY = ""

packages = {"chapters_code": f"git+{REPOSITORY}", "d2l": "d2l==0.17.0"}
missing = [name for name in packages if importlib.util.find_spec(name) is None]

if "google.colab" not in sys.modules:
    if "chapters_code" in missing:
        raise ModuleNotFoundError("No book here: run `make lab` in the book's folder.")
    print("Set-up: the book's code is here, nothing to install.")
elif not missing:
    print("Set-up: all is here, nothing to install.")
elif "chapters_code" in missing and not REPOSITORY:
    raise ModuleNotFoundError(
        "Colab cannot fetch the book's code: this notebook does not say where the "
        "book is published. In the book's folder, run `make repository "
        "URL=https://github.com/OWNER/REPO`; then upload the notebook anew."
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
