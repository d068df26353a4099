"""Programs that try to get out of the jail, each by one way. They print ESCAPED where they succeed.

Run only inside a jail. `{file}`, `{pid}`, `{port}` and `{name}` are the
canaries: a file on the host, a process, a listener, and an abstract socket.
"""

LIBC = "import ctypes, os, sys, signal, socket, struct\nlibc = ctypes.CDLL(None, use_errno=True)\n"

# name: source
ATTACKS: dict[str, str] = {
    # -- files ----------------------------------------------------------------------------------------------
    "read the canary": "open('{file}').read(); print('ESCAPED')",
    "read it by a link": "import os; os.symlink('{file}', 'l'); open('l').read(); print('ESCAPED')",
    "read it through a descriptor's folder": (
        "import os\nfor fd in range(64):\n"
        "    try: os.open('..' + '/..' * 9 + '{file}', os.O_RDONLY, dir_fd=fd); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "climb out of the root": (
        "import os\nos.mkdir('d')\n"
        "try: os.chroot('d')\nexcept OSError: pass\n"
        "for _ in range(99): os.chdir('..')\n"
        "os.stat('.' + '{file}'); print('ESCAPED')"
    ),
    "open by handle": LIBC + "libc.syscall(304, -100, b'12345678', 0); print('ESCAPED')",
    "enter the closed folder": (
        "import os\n"
        "for action in (lambda: os.chmod('/closed', 0o777), lambda: os.chdir('/closed'), lambda: os.listdir('/closed'),\n"
        "               lambda: os.listdir('/closed/proc'), lambda: os.stat('/closed/proc/1')):\n"
        "    try: action(); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "change the libraries": (
        "import os, json\n"
        "for path in (json.__file__, os.__file__, '/usr/bin/env', '/lib64', '/usr/lib'):\n"
        "    for action in (lambda: open(path, 'r+b'), lambda: os.rename(path, path + 'x'), lambda: os.unlink(path),\n"
        "                   lambda: os.chmod(path, 0o777), lambda: os.utime(path), lambda: os.link(path, 'x'),\n"
        "                   lambda: os.truncate(path, 0), lambda: os.setxattr(path, 'user.x', b'x')):\n"
        "        try: action(); print('ESCAPED', path)\n"
        "        except OSError: pass"
    ),
    "leave poisoned byte code": (
        "import os, json, sys\n"
        "folder = os.path.dirname(json.__file__) + '/__pycache__'\n"
        "for name in ('evil.pyc', 'decoder.cpython-311.pyc'):\n"
        "    try: open(folder + '/' + name, 'wb').write(b'x'); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "make set-uid and device files": (
        "import os, stat\nopen('s', 'w').close(); os.chmod('s', 0o6777)\n"
        "for mode, device in ((stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 1))):\n"
        "    try: os.mknod('d', 0o666 | mode, device); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "find host devices": (
        "import os\n"
        "for name in ('tty', 'console', 'kmsg', 'mem', 'vda', 'sda', 'kvm', 'fuse', 'net/tun', 'vsock', 'ptmx'):\n"
        "    try: os.open('/dev/' + name, os.O_RDWR); print('ESCAPED', name)\n"
        "    except OSError: pass"
    ),
    "keep a memfd": LIBC + "fd = libc.memfd_create(b'x', 0)\nif fd >= 0: print('ESCAPED')",
    # -- processes ------------------------------------------------------------------------------------------
    "kill all": (
        "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for target in (-1, 0, {pid}, *range(2, 3000)):\n"
        "    try: os.kill(target, signal.SIGTERM)\n"
        "    except OSError: continue\n"
        "    if target not in (-1, 0): print('ESCAPED', target)"
    ),
    "trace the parent": LIBC + "print('ESCAPED') if libc.ptrace(16, os.getppid(), 0, 0) == 0 else None",
    "trace by a child": (
        LIBC + "child = os.fork()\n"
        "if child == 0: print('ESCAPED' if libc.ptrace(0, 0, 0, 0) == 0 else '', flush=True); os._exit(0)\n"
        "os.wait()"
    ),
    "read another process's memory": (
        LIBC + "child = os.fork()\n"
        "if child == 0: signal.pause()\n"
        "if libc.syscall(310, child, 0, 0, 0, 0, 0) >= 0: print('ESCAPED')"
    ),
    "take a descriptor of another process": (
        LIBC + "child = os.fork()\n"
        "if child == 0: signal.pause()\n"
        "if libc.syscall(438, os.pidfd_open(child), 0, 0) >= 0: print('ESCAPED')"
    ),
    "open process 0 and the host's": (
        "import os\nfor pid in ({pid}, os.getppid(), 2, 3):\n"
        "    try: os.pidfd_open(pid); print('ESCAPED', pid)\n"
        "    except OSError: pass"
    ),
    "set limits of others": (
        "import resource\nfor pid in ({pid}, 2, 3):\n"
        "    try: resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, 5)); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "raise its own limits": (
        "import resource\n"
        "for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE,\n"
        "             resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_MEMLOCK, resource.RLIMIT_CORE):\n"
        "    soft, hard = resource.getrlimit(kind)\n"
        "    if hard == -1: continue\n"
        "    try: resource.setrlimit(kind, (hard + 1, hard + 1)); print('ESCAPED', kind)\n"
        "    except (OSError, ValueError): pass"
    ),
    "take the processors": (
        LIBC + "for action in (lambda: os.sched_setaffinity(0, [0]), lambda: os.setpriority(0, 0, -5),\n"
        "               lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), lambda: os.nice(-5),\n"
        "               lambda: os.setpriority(os.PRIO_USER, 0, 5)):\n"
        "    try: action(); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "outlive the run": (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(1)\n"
        "        for fd in range(64):\n"
        "            try: os.write(fd, b'ESCAPED')\n"
        "            except OSError: pass\n"
        "        os._exit(0)\n"
        "    os._exit(0)"
    ),
    "take over orphans": LIBC
    + "libc.prctl(36, 1)\nif os.fork() == 0:\n    if os.fork() == 0: signal.pause()\n    os._exit(0)",
    "flood with zombies": (
        "import os\nfor _ in range(200):\n"
        "    try:\n        if os.fork() == 0: os._exit(0)\n"
        "    except OSError: break"
    ),
    "ask for a core dump": LIBC + "libc.prctl(4, 1); import resource\n"
    "try: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); print('ESCAPED')\n"
    "except (OSError, ValueError): pass\n"
    "os.abort()",
    # -- privileges -----------------------------------------------------------------------------------------
    "become root": (
        "import os\n"
        "for action in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]),\n"
        "               lambda: os.setresuid(0, 0, 0), lambda: os.setreuid(-1, 0)):\n"
        "    try: action(); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "run a set-uid program": (
        "import subprocess\n"
        "for command in (['/usr/bin/su', '-c', 'id'], ['/usr/bin/mount', '-t', 'tmpfs', 'x', '/box/tmp']):\n"
        "    done = subprocess.run(command, capture_output=True)\n"
        "    if b'uid=0' in done.stdout or done.returncode == 0: print('ESCAPED')"
    ),
    "clone into a user namespace": LIBC
    + "print('ESCAPED') if libc.syscall(56, 0x10000011, 0, 0, 0, 0) > 0 else None",
    "clone3 into a user namespace": (
        LIBC + "args = struct.pack('<11Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)\n"
        "if libc.syscall(435, args, len(args)) >= 0: print('ESCAPED')"
    ),
    "use the 32-bit table": LIBC + "print('ESCAPED') if libc.syscall(0x40000000 + 39) > 0 else None",
    "set the clock": (
        "import time\n"
        "try: time.clock_settime(time.CLOCK_REALTIME, time.time()); print('ESCAPED')\n"
        "except OSError: pass"
    ),
    "name the host": ("import socket\ntry: socket.sethostname('x'); print('ESCAPED')\nexcept OSError: pass"),
    "load a filter of its own over ours": (
        LIBC + "program = struct.pack('<HBBI', 6, 0, 0, 0x7fff0000)\n"
        "buffer = ctypes.create_string_buffer(program)\n"
        "fprog = struct.pack('<HxxxxxxQ', 1, ctypes.addressof(buffer))\n"
        "libc.syscall(317, 1, 0, fprog)\n"
        "try: socket.socket(); print('ESCAPED')\n"
        "except OSError: pass"
    ),
    # -- network and IPC ------------------------------------------------------------------------------------
    "connect": (
        "import socket\n"
        "for family, where in ((socket.AF_INET, ('127.0.0.1', {port})), (socket.AF_UNIX, '\\0{name}')):\n"
        "    try: socket.socket(family).connect(where); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "make any socket": (
        "import socket\n"
        "for family in range(0, 46):\n"
        "    for kind in (1, 2, 3, 5, 10):\n"
        "        try: socket.socket(family, kind); print('ESCAPED', family, kind)\n"
        "        except OSError: pass"
    ),
    "make pairs beyond unix": (
        "import socket\n"
        "for family in (2, 10, 16, 17, 30, 40):\n"
        "    try: socket.socketpair(family); print('ESCAPED', family)\n"
        "    except OSError: pass"
    ),
    "bind a pair's end": (
        "import socket\nleft, right = socket.socketpair()\n"
        "for action in (lambda: left.bind('\\0x'), lambda: left.connect('\\0{name}'), lambda: left.listen(1)):\n"
        "    try: action(); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "send to a name": (
        "import socket\nleft, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "try: left.sendto(b'x', '\\0{name}-dgram'); print('ESCAPED')\n"
        "except OSError: pass"
    ),
    "leave SysV and POSIX objects": (
        LIBC
        + "calls = [libc.shmget(77, 4096, 0o1666), libc.semget(77, 1, 0o1666), libc.msgget(77, 0o1666)]\n"
        "calls.append(libc.syscall(240, b'/q', os.O_CREAT | os.O_RDWR, 0o666, None))\n"
        "if max(calls) >= 0: print('ESCAPED', calls)"
    ),
    "leave keys": LIBC + "print('ESCAPED') if libc.syscall(248, b'user', b'x', b'y', 1, -4) >= 0 else None",
    # -- our own machinery ----------------------------------------------------------------------------------
    "give the runner a descriptor": (
        "import socket, os\nlink = socket.socket(fileno=3)\n"
        "for _ in range(50): socket.send_fds(link, [b'x'], [0, 1, 2])"
    ),
    "stop reading and never close": "import time, os\nos.dup2(3, 9); os.close(3)",
    "hold the output open in flight": (
        "import socket\nleft, right = socket.socketpair()\nsocket.send_fds(left, [b'x'], [1, 2, 3])\n"
        "link = socket.socket(fileno=3)\nsocket.send_fds(link, [b'x'], [left.fileno(), right.fileno(), 1, 2])"
    ),
    "make output blocking and non-blocking": "import os, fcntl\n[os.set_blocking(fd, False) for fd in (1, 2, 3)]",
    "shrink the pipes": "import fcntl\n[fcntl.fcntl(fd, 1031, 4096) for fd in (1, 2)]",
    "close everything": "import os\nos.closerange(0, 4096)",
    "close by range call": LIBC + "libc.syscall(436, 0, 0xffffffff, 0)",
    "reconnect standard streams": "import os\nfd = os.open('x', os.O_CREAT | os.O_RDWR)\n[os.dup2(fd, n) for n in range(64)]",
    "forge an end": (
        "import os, struct\nfor kind in (b'E', b'X', b'R', b'F', b'Y'):\n"
        "    os.write(3, struct.pack('<cI', kind, 2) + b'{}')\n"
        "    os.write(3, struct.pack('<cI', kind, 7) + b'[[[[[[[')\n"
        "    os.write(3, struct.pack('<cI', kind, 0))\n"
        "os.write(3, struct.pack('<cI', b'E', 0xffffffff))"
    ),
    "forge a deep end": (
        "import os, struct\nbody = b'[' * 200000\nimport socket\n"
        "socket.socket(fileno=3).sendall(struct.pack('<cI', b'E', len(body)) + body)"
    ),
    "search memory for other runs": (
        "import gc, sys\nneedle = 'SECRET-OF-' + 'ANOTHER-RUN'\n"
        "for value in gc.get_objects():\n"
        "    try: text = repr(value)\n"
        "    except Exception: continue\n"
        "    if needle in text and 'needle' not in text: print('ESCAPED')"
    ),
    "scan the heap for other runs": (
        LIBC
        + "libc.sbrk.restype = ctypes.c_void_p\ntop = libc.sbrk(0)\nneedle = b'SECRET-OF-' + b'ANOTHER-RUN'\n"
        "own = 0\nimport mmap\n"
        "size = 4096 * 200\n"
        "data = ctypes.string_at(top - size, size)\n"
        "if data.count(needle): print('ESCAPED')"
    ),
    "huge arguments": (
        "import subprocess\ntry: subprocess.run(['/bin/true', 'x' * (1 << 26)])\nexcept OSError: pass"
    ),
    "lock and leave pipes": (
        "import fcntl, os\nos.mkfifo('p'); f = open('lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "os.mkdir('d'); os.chmod('d', 0); os.chmod('.', 0) if os.stat('.').st_uid == os.getuid() else None"
    ),
    "use up timers and signals": (
        "import signal, time, os, resource\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])\n"
        "for _ in range(10000): os.kill(os.getpid(), signal.SIGRTMIN)"
    ),
    "watch files": LIBC + "[libc.syscall(294, 0) for _ in range(1000)]",
}
