"""A real Slurm cluster of two nodes on this machine, which leaves nothing behind.

It runs in its own namespaces: of processes, so that none outlives the first, however that one ends; of
mounts, so that its files are in memory and /etc/hosts can name the nodes; of the network, so that every port
is free; and of the host name.
"""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

NODES = ("n0", "n1")
ADDRESS = "198.51.100.1"  # of all nodes; reserved by RFC 5737
TUNNEL_ADDRESS = "198.51.100.2"
ROOT = "/run/lockstep-slurm"
INSIDE = "LOCKSTEP_SLURM_NAMESPACE"
PROGRAMS = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "srun": "slurm-client",
    "munged": "munge",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mpirun": "openmpi-bin"
}
UNSHARE = [
    "unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
    "--propagation", "private"
]

# With Slurm's defaults, tests would wait longer: a requeued job starts again after cred_expire seconds, and
# the main scheduling loop runs every sched_interval seconds. The long timeouts are for a machine that is busy
# with other tests.
SLURM_CONF = """\
ClusterName=lockstep
SlurmctldHost=controller
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket,cred_expire={cred_expire}
StateSaveLocation={root}/state
SlurmctldPidFile={root}/slurmctld.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdPidFile={root}/slurmd-%n.pid
SlurmdLogFile={root}/slurmd-%n.log
SlurmdSpoolDir={root}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MessageTimeout=60
SlurmctldTimeout=300
SlurmdTimeout=300
TCPTimeout=30
BatchStartTimeout=60
KillWait=20
MinJobAge=3600
GresTypes=gpu
NodeName=n0 Port=17001 CPUs={cpus} RealMemory=8000 Gres=gpu:2
NodeName=n1 Port=17002 CPUs={cpus} RealMemory=8000 Gres=gpu:2
PartitionName=main Nodes=n[0-1] Default=YES MaxTime=INFINITE State=UP
"""


def obstacle():
    """The reason why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "starting a cluster needs root"
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (package {package})"
    plugins = subprocess.run(
        ["sh", "-c", "ls /usr/lib/*/slurm-wlm/mpi_pmix.so /usr/lib*/slurm/mpi_pmix.so 2>/dev/null"],
        stdout=subprocess.PIPE, text=True, check=False)
    if not plugins.stdout:
        return "Slurm has no PMIx plugin (package slurm-wlm-basic-plugins)"
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/run"], stderr=subprocess.PIPE,
                           text=True, check=False)
    if tried.returncode != 0:
        return f"this container may not make namespaces and mounts: {tried.stderr.strip()}"
    return None


def enter_namespaces():
    """Runs this program again in its own namespaces and exits with its code; inside them, returns at once."""
    if os.environ.get(INSIDE):
        return
    os.environ[INSIDE] = "1"
    # The kernel ends unshare when this process ends, and everything inside when unshare ends. Neither unshare
    # nor the first process inside would react to SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *UNSHARE, sys.executable, *sys.argv]) as inside:
        try:
            code = inside.wait()
        finally:
            inside.kill()
    sys.exit(code)


def raise_network():
    """All nodes use the loopback interface. Slurm resolves names only to an address other than 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        raise_interface(control, b"lo", ADDRESS)
        # mpirun of Open MPI 5 ends with a segmentation fault if there is no other interface.
        try:
            # The interface exists as long as this process has it open. TUNSETIFF, IFF_TUN | IFF_NO_PI:
            tunnel = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))
            raise_interface(control, b"tun0", TUNNEL_ADDRESS)
        except OSError:
            pass  # Open MPI 4 does not need it


def raise_interface(control, name, address):
    fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", name, 0x1))  # SIOCSIFFLAGS, IFF_UP
    family = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    fcntl.ioctl(control, 0x8916, struct.pack("16s16s8x", name, family))  # SIOCSIFADDR


class Cluster:
    """Starts on construction, inside the namespaces; use it in a `with` statement, which stops it."""

    def __init__(self, cred_expire=5, cpus=4):
        self.daemons = []
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        for folder in ("state", "munge", "pmix", "prte", "session-n0", "session-n1", "spool-n0", "spool-n1"):
            os.makedirs(f"{ROOT}/{folder}")
        socket.sethostname("controller")
        raise_network()
        self.write("hosts", f"127.0.0.1 localhost\n{ADDRESS} controller {' '.join(NODES)}\n")
        subprocess.run(["mount", "--bind", f"{ROOT}/hosts", "/etc/hosts"], check=True)
        self.write("slurm.conf", SLURM_CONF.format(root=ROOT, cred_expire=cred_expire, cpus=cpus))
        self.write("mpi.conf", f"PMIxCliTmpDirBase={ROOT}/pmix\n")
        # Devices that every machine has represent GPUs: Slurm counts them and assigns their numbers.
        self.write("gres.conf", "Name=gpu File=/dev/null,/dev/zero\n")
        self.write("cgroup.conf", "CgroupAutomount=no\n")
        os.environ["SLURM_CONF"] = f"{ROOT}/slurm.conf"
        # The nodes communicate over the loopback interface, which Open MPI excludes by default. There are
        # more ranks than cores, so a waiting rank yields its core. OMPI_MCA is for Open MPI and, up to
        # version 4, its mpirun; PRTE_MCA is for mpirun of version 5, whose folder in /tmp could otherwise be
        # that of an earlier cluster.
        os.environ.update(OMPI_MCA_btl_tcp_if_include="lo", OMPI_MCA_oob_tcp_if_include="lo",
                          OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                          PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe",
                          PRTE_MCA_prte_tmpdir_base=f"{ROOT}/prte", OMPI_ALLOW_RUN_AS_ROOT="1",
                          OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            daemon.wait()

    def write(self, name, text):
        with open(f"{ROOT}/{name}", "w") as file:
            file.write(text)

    def spawn(self, name, *command):
        with open(f"{ROOT}/{name}.out", "ab") as out:
            self.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def start(self):
        with open(f"{ROOT}/munge/key", "wb") as file:
            file.write(os.urandom(128))
        os.chmod(f"{ROOT}/munge/key", 0o600)
        os.chmod(f"{ROOT}/munge", 0o711)
        os.chmod(ROOT, 0o711)
        self.spawn("munged", "munged", "--foreground", f"--socket={ROOT}/munge/socket",
                   f"--key-file={ROOT}/munge/key", f"--pid-file={ROOT}/munge/pid",
                   f"--seed-file={ROOT}/munge/seed", f"--log-file={ROOT}/munge.log")
        self.wait_until(lambda: os.path.exists(f"{ROOT}/munge/socket"), "munged has not made its socket")
        self.spawn("slurmctld", "slurmctld", "-D", "-f", f"{ROOT}/slurm.conf")
        for node in NODES:
            # Each node has its own host name, PMIx folder and shared memory, so that ranks of two nodes do
            # not share them.
            setup = (f"hostname {node} && mount --bind {ROOT}/session-{node} {ROOT}/pmix && "
                     f"mount -t tmpfs none /dev/shm && exec slurmd -D -N {node} -f {ROOT}/slurm.conf")
            self.spawn(f"slurmd-{node}", "unshare", "--mount", "--uts", "--propagation", "private", "sh",
                       "-c", setup)
        self.wait_until(self.is_up, "the nodes have not come up")

    def is_up(self):
        states = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%T"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, check=False)
        return states.stdout.split() == ["idle", "idle"]

    def wait_until(self, condition, otherwise, seconds=60):
        patience = time.monotonic() + seconds
        while not condition():
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(
                        f"{' '.join(daemon.args)} ended with {daemon.returncode}\n{self.logs()}")
            if time.monotonic() > patience:
                raise RuntimeError(f"{otherwise} in {seconds} s\n{self.logs()}")
            time.sleep(0.05)

    def logs(self, lines=40):
        text = ""
        for name in sorted(os.listdir(ROOT)):
            if name.endswith((".log", ".out")):
                with open(f"{ROOT}/{name}", errors="replace") as file:
                    text += f"== {name}\n{''.join(file.readlines()[-lines:])}"
        return text


if __name__ == "__main__":
    # By hand: cluster.py COMMAND ... runs a command with the cluster; without one, a shell.
    WHY = obstacle() if not os.environ.get(INSIDE) else None
    if WHY:
        sys.exit(f"no Slurm cluster here: {WHY}")
    enter_namespaces()
    with Cluster() as cluster:
        CODE = subprocess.run(sys.argv[1:] or ["bash"], check=False).returncode
    sys.exit(CODE)
