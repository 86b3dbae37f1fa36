# An agent that is set up with the configuration, registers each worker, and wraps the
# application.
import newrelic.agent

newrelic.agent.initialize("newrelic.ini", "production")

workers = 1
preload_app = True


def post_worker_init(worker):
    newrelic.agent.register_application(timeout=10.0)
    worker.wsgi = newrelic.agent.WSGIApplicationWrapper(worker.wsgi)


def worker_exit(server, worker):
    newrelic.agent.shutdown_agent(timeout=1.0)
    worker.log.info("agent of %s is down", worker.pid)
