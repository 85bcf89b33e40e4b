# Runs the unittest tests of a folder (argument 1) of a tree (argument 2) and
# writes a line for each: RESULT, its state, its name, a reason.
import os
import sys
import unittest


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
unittest.defaultTestLoader.discover(sys.argv[1], top_level_dir=sys.argv[2]).run(Result())
