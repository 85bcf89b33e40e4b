# Runs the unittest tests of a folder (argument 1) of a tree (argument 2) and
# writes a line for each: RESULT, its state, its name, a reason.
#
# Tests of command lines start the client anew for each. Most of that time goes
# into reading the same modules again, so here a client is a fork of this process,
# which has them: the same program with the same arguments.
import importlib
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import unittest

SHELLS = {'openstack': 'openstackclient.shell', 'nova': 'novaclient.shell', 'cinder': 'cinderclient.shell',
          'neutron': 'neutronclient.shell', 'glance': 'glanceclient.shell'}
Popen = subprocess.Popen


class Forked:
    """A client started by fork, with as much of Popen as the suites use."""

    def __init__(self, cmd, stdout, stderr):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        merged = stderr == subprocess.STDOUT
        main = importlib.import_module(SHELLS[os.path.basename(cmd[0])]).main
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self.out.fileno(), 1)
            os.dup2((self.out if merged else self.err).fileno(), 2)
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, how) for fd, how in [(0, 'r'), (1, 'w'), (2, 'w')])
            sys.argv = list(cmd)
            logging.getLogger().handlers.clear()
            logging.getLogger().setLevel(logging.WARNING)
            code = (main(cmd[1:]) if main.__code__.co_argcount else main()) or 0
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def communicate(self):
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for f in (self.out, self.err):
            f.seek(0)
        return self.out.read(), self.err.read()


def popen(cmd, *args, **kwargs):
    if isinstance(cmd, list) and cmd and os.path.basename(cmd[0]) in SHELLS and not args and set(kwargs) <= {'stdout', 'stderr'}:
        return Forked(cmd, **kwargs)
    return Popen(cmd, *args, **kwargs)


class Result(unittest.TestResult):
    def tell(self, state, test, reason=''):
        lines = [line for line in str(reason).strip().splitlines() if line and not line.startswith(' ')]
        print('RESULT', state, test.id(), (lines or [''])[-1][:300].replace('\t', ' '), sep='\t', flush=True)

    def addSuccess(self, test):
        self.tell('passed', test)

    def addError(self, test, err):
        super().addError(test, err)
        self.tell('failed', test, err[1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell('failed', test, err[1])

    def addSkip(self, test, reason):
        self.tell('skipped', test, reason)

    def addExpectedFailure(self, test, err):
        self.tell('passed', test)

    def addUnexpectedSuccess(self, test):
        self.tell('failed', test, 'it passes, which it should not')


try:  # a file of its own is not in Debian's os_client_config
    import os_client_config.constructors as c
    if not os.path.exists(c._json_path):
        c._class_mapping = {'identity': 'keystoneclient.client.Client'}
except ImportError:
    pass
for module in ['openstackclient.shell', 'openstack.connection', 'novaclient.shell', 'cinderclient.shell', 'neutronclient.shell', 'glanceclient.shell']:
    try:
        importlib.import_module(module)
    except ImportError:
        pass
subprocess.Popen = popen
unittest.defaultTestLoader.discover(sys.argv[1], top_level_dir=sys.argv[2]).run(Result())
