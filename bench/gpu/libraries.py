"""Finds CUDA's libraries and tools on this machine, and makes the environment of the packed programs."""
import glob
import os
import re
import shutil
import site
import subprocess
import sys

# The libraries that the programs are linked with; cuDNN loads the last two.
NEEDED = ["libcudnn.so.9", "libnccl.so.2", "libcublasLt.so.13", "libnvrtc.so.13", "libcublas.so.13"]


def python_folders():
    """The library folders of Python's NVIDIA packages: nvidia/cudnn/lib and, for CUDA 13, nvidia/cu13/lib."""
    places = set(sys.path) | set(site.getsitepackages()) | {site.getusersitepackages()}
    for python in filter(None, [shutil.which("python3"), shutil.which("python")]):
        root = os.path.dirname(os.path.dirname(os.path.realpath(python)))
        # A virtual environment's python3 is a link to another folder: search the folder of the link too.
        for base in (root, os.path.dirname(os.path.dirname(python))):
            places.update(glob.glob(f"{base}/lib/python3*/*-packages"))
    return [
        folder for place in sorted(filter(None, places))
        for folder in sorted(glob.glob(f"{place}/nvidia/*/lib"))
    ]


def toolkit_folders():
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")]
    homes += ["/usr/local/cuda"] + sorted(glob.glob("/usr/local/cuda-*"), reverse=True) + ["/opt/cuda"]
    return [
        f"{home}/{name}" for home in homes if home for name in ("lib64", "lib", "targets/x86_64-linux/lib")
    ]


def loader_folders():
    """The folders of the dynamic loader's cache."""
    for program in ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"):
        try:
            text = subprocess.run([program, "-p"], capture_output=True, text=True).stdout
            return sorted({os.path.dirname(path) for path in re.findall(r"=> (/\S+)", text)})
        except OSError:
            continue
    return []


def find_libraries():
    """{library: its folder, or None}, for NEEDED."""
    folders = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    folders += toolkit_folders() + loader_folders() + python_folders()
    return {
        name: next((f for f in folders if os.path.exists(os.path.join(f, name))), None) for name in NEEDED
    }


def library_version(name, folder):
    """"9.19.0" as the library itself says; "" when it cannot be loaded."""
    # In a separate process: a library that fails to load, or loads others, must not stay in this one.
    code = {
        "libcudnn.so.9": "v=l.cudnnGetVersion(); print(v//10000, v//100%100, v%100, sep='.')",
        "libnccl.so.2": "l.ncclGetVersion(ctypes.byref(i)); v=i.value; "
        "print(v//10000, v//100%100, v%100, sep='.')",
        "libcublasLt.so.13": "v=l.cublasLtGetVersion(); print(v//10000, v//100%100, v%100, sep='.')"
    }.get(name)
    if code is None or folder is None:
        return ""
    script = f"import ctypes; i=ctypes.c_int(); l=ctypes.CDLL({os.path.join(folder, name)!r}); {code}"
    try:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                              timeout=60).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def find_tool(name):
    """The path of compute-sanitizer, ncu or nvidia-smi, or None."""
    patterns = [
        f"/usr/local/cuda*/bin/{name}", f"/usr/local/cuda*/{name}/{name}",
        f"/opt/nvidia/nsight-compute/*/{name}", f"/usr/local/nvidia/bin/{name}"
    ]
    return shutil.which(name) or next(
        (path for p in patterns for path in sorted(glob.glob(p), reverse=True)), None)


def programs_environment(pack, libraries):
    """The environment of the packed programs, with the folders of the Open MPI in the pack, if any."""
    folders = [f"{pack}/lib"]
    for folder in libraries.values():
        if folder and folder not in folders:
            folders.append(folder)
    folders += [folder for folder in ("/usr/local/nvidia/lib64",) if os.path.isdir(folder)]
    before = os.environ.get("LD_LIBRARY_PATH", "")
    environment = dict(
        os.environ,
        PATH=f"{pack}/bin:" + os.environ.get("PATH", "/usr/bin:/bin"),
        LD_LIBRARY_PATH=":".join(folders + ([before] if before else [])),
        LOCKSTEP_BINARY=f"{pack}/bin/lockstep",
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        # All ranks are on this machine: they need no ssh, no network but "lo", and no permission to read the
        # memory of another process.
        OMPI_MCA_plm="isolated",
        OMPI_MCA_btl_tcp_if_include="lo",
        OMPI_MCA_btl_vader_single_copy_mechanism="none")
    if os.path.isdir(f"{pack}/lib/openmpi3"):
        environment.update(OPAL_PREFIX=pack, OPAL_LIBDIR=f"{pack}/lib", OPAL_PKGLIBDIR=f"{pack}/lib/openmpi3",
                           OPAL_DATADIR=f"{pack}/share", OPAL_PKGDATADIR=f"{pack}/share/openmpi",
                           OPAL_SYSCONFDIR=f"{pack}/etc", PMIX_LIBDIR=f"{pack}/lib",
                           PMIX_DATADIR=f"{pack}/share")
    return environment
