"""Read by Tempest's Python at its start: pauses for Hearth's pace.

Tempest 33 sleeps 10 s before each deletion of a subnet ("avoids failures when
it takes time to teardown some ports"): some tests delete servers and do not wait
for it. These pauses make nine tenths of the suite's time; the fake driver is
quicker, and one second will do. The interval
between two looks at a state is a whole number of seconds; set to 0 it is made
50 ms here. Nothing else is touched.
"""
import sys
import time

_sleep = time.sleep


def _shorter_sleep(seconds):
    asker = sys._getframe(1).f_globals.get('__name__')
    if asker == 'tempest.lib.services.network.subnets_client':
        seconds = 1
    _sleep(seconds or 0.05)


time.sleep = _shorter_sleep
