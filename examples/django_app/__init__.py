"""A minimal Django project: the admin, sessions and one page, on sqlite.

    .venv/bin/python manage.py migrate
    .venv/bin/python manage.py createsuperuser
    gowsgi -w 4 django_app.wsgi:application
"""
