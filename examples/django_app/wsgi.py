"""The WSGI application of the example project."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")

# The admin's style sheets come from this process too, so that the example needs
# nothing in front of it.
application = StaticFilesHandler(get_wsgi_application())
