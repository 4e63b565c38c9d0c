from tests.ai.workplace import clinic as clinic
from tests.e2e.conftest import deploy as deploy
from tests.e2e.conftest import deployment as deployment
