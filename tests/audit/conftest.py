from tests.e2e.conftest import deploy as deploy
from tests.e2e.conftest import deployment as deployment
from tests.sync.conftest import clinic as clinic
