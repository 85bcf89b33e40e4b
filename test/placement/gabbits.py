# Runs the gabbi files of placement's sources (argument 1) against the service at a
# host and a port (2, 3), all or the one of argument 4, and writes a line for each
# request: RESULT, its state, its name, a reason.
#
# The files' fixtures put rows into placement's database. Here they are the same
# fixtures, over a few objects that say the same by HTTP.
import importlib.util
import json
import os
import sys
import types
import unittest
import urllib.error
import urllib.request
import uuid

SOURCES, HOST, PORT, ONLY = sys.argv[1:5]
FOLDER = os.path.join(SOURCES, 'placement', 'tests', 'functional')
BASE = 'http://%s:%s' % (HOST, PORT)


def call(method, path, body=None, ok=(), version='placement 1.39'):
    request = urllib.request.Request(BASE + path, method=method, data=None if body is None else json.dumps(body).encode(), headers={
        'X-Auth-Token': 'admin', 'Content-Type': 'application/json', 'OpenStack-API-Version': version})
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
    except urllib.error.HTTPError as e:
        if e.code in ok:
            return None
        raise Exception('%s %s: %s' % (method, path, e.read().decode()))
    return json.loads(text) if text else None


class Known:
    """Ids by name, the same for a name throughout."""

    def __getattr__(self, name):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, 'placement/' + name))


uuids = Known()


class Provider:
    def __init__(self, name, uuid, parent=None):
        self.name, self.uuid = name, uuid
        body = {'name': name, 'uuid': uuid}
        if parent:
            body['parent_provider_uuid'] = parent
        call('POST', '/resource_providers', body)

    def generation(self):
        return call('GET', '/resource_providers/' + self.uuid)['generation']

    def set_aggregates(self, aggregates):
        call('PUT', '/resource_providers/%s/aggregates' % self.uuid,
             {'aggregates': list(aggregates), 'resource_provider_generation': self.generation()})


class Database:
    """What placement's tests call test_base."""

    def create_provider(self, context, name, *aggs, parent=None, uuid=None):
        p = Provider(name, uuid or getattr(uuids, name), parent)
        if aggs:
            p.set_aggregates(aggs)
        return p

    def add_inventory(self, p, rc, total, **more):
        if rc.startswith('CUSTOM_'):
            call('PUT', '/resource_classes/' + rc)
        path = '/resource_providers/%s/inventories' % p.uuid
        has = call('GET', path)
        has['inventories'][rc] = dict({'total': total, 'max_unit': total}, **more)
        call('PUT', path, has)

    def set_traits(self, p, *traits):
        for t in traits:
            if t.startswith('CUSTOM_'):
                call('PUT', '/traits/' + t)
        call('PUT', '/resource_providers/%s/traits' % p.uuid, {'traits': list(traits), 'resource_provider_generation': p.generation()})

    def create_user_and_project(self, context, prefix='fake'):
        return External(external_id=prefix + '-user'), External(external_id=prefix + '-project')

    def ensure_consumer(self, context, user, project, consumer_id=None):
        c = External(external_id='')
        c.uuid, c.user, c.project = consumer_id or str(uuid.uuid4()), user.external_id, project.external_id
        return c

    def set_allocation(self, context, p, consumer, used):
        call('PUT', '/allocations/' + consumer.uuid, {
            'allocations': {p.uuid: {'resources': used}}, 'user_id': consumer.user, 'project_id': consumer.project,
            'consumer_generation': None}, version='placement 1.37')


class External:
    """A user, a project or a resource class, made when it is first named."""

    def __init__(self, context=None, external_id=None, name=None):
        self.external_id, self.name = external_id, name

    def create(self):
        if self.name:
            call('PUT', '/resource_classes/' + self.name)


class Names:
    """os_traits and os_resource_classes: a name is what it says."""

    def __getattr__(self, name):
        return name


def module(name, **attributes):
    m = types.ModuleType(name)
    m.__dict__.update(attributes)
    m.__path__ = []
    sys.modules[name] = m
    parent, _, last = name.rpartition('.')
    if parent:
        if parent not in sys.modules:
            module(parent)
        setattr(sys.modules[parent], last, m)
    return m


class Anything:
    def __getattr__(self, name):
        return Anything()

    def __call__(self, *a, **k):
        return Anything()


def fixtures():
    """The fixtures of placement's sources, over the objects above."""
    external = {'User': External, 'Project': External, 'ResourceClass': External}
    for name in ['placement', 'placement.conf', 'placement.context', 'placement.deploy', 'placement.policies', 'placement.tests', 'placement.tests.fixtures',
                 'placement.tests.functional', 'placement.tests.functional.fixtures', 'placement.tests.functional.fixtures.capture',
                 'placement.tests.unit', 'placement.tests.unit.policy_fixture', 'placement.objects', 'oslo_config.fixture',
                 'placement.tests.functional.db', 'oslo_log.fixture', 'oslo_policy', 'oslo_policy.opts', 'oslotest', 'oslotest.output', 'oslo_config', 'oslo_config.cfg',
                 'oslo_utils', 'oslo_utils.fixture', 'oslo_utils.uuidutils']:
        m = module(name)
        m.__getattr__ = lambda attribute: Anything()
    sys.modules['oslo_utils.uuidutils'].generate_uuid = lambda: str(uuid.uuid4())
    sys.modules['oslo_utils.fixture'].uuidsentinel = uuids
    sys.modules['placement.policies'].list_rules = lambda: []
    for name in ['user', 'project', 'resource_class']:
        module('placement.objects.' + name, **external)
    for name in ['os_traits', 'os_resource_classes']:
        m = module(name)
        m.__getattr__ = lambda attribute: attribute
    sys.modules['placement.tests.functional.db'].test_base = Database()
    spec = importlib.util.spec_from_file_location('gabbits_fixtures', os.path.join(FOLDER, 'fixtures', 'gabbits.py'))
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    names = sorted(set(n for n in found.APIFixture.start_fixture.__code__.co_consts if isinstance(n, str) and n.isupper() and n.replace('_', '').isalnum()))

    def start(self):
        call('POST', '/reset')
        self.context = None
        self.conf_fixture = self.policy_fixture = Anything()
        for n in names:
            os.environ[n] = str(uuid.uuid4())
        for i, n in enumerate(['CUSTOM_RES_CLASS', 'CUSTOM_RES_CLASS1', 'CUSTOM_RES_CLASS2']):
            os.environ[n] = 'CUSTOM_IRON_NFV' + ('' if i == 0 else str(i))
        os.environ['PARENT_PROVIDER_UUID'] = os.environ.get('PARENT_PROVIDER_UUID') or str(uuid.uuid4())

    found.APIFixture.start_fixture = start
    found.APIFixture.stop_fixture = lambda self: None
    return found


class Result(unittest.TestResult):
    def tell(self, state, test, reason=''):
        lines = [line for line in str(reason).strip().splitlines() if line and (not line.startswith(' ') or '"detail"' in line)]
        name = type(test).__name__
        print('RESULT', state, name, ' '.join(lines)[-300:].replace('\t', ' '), sep='\t', flush=True)

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


from gabbi import driver  # noqa: E402

folder = os.path.join(FOLDER, 'gabbits')
if ONLY:
    import shutil
    import tempfile
    few = tempfile.mkdtemp()
    shutil.copy(os.path.join(folder, ONLY + '.yaml'), few)
    folder = few
suite = driver.build_tests(folder, unittest.defaultTestLoader, host=HOST, port=int(PORT), prefix='', fixture_module=fixtures(), test_loader_name='')
suite.run(Result())
