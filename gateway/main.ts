import { runProcess } from '#mesh/process/process-main.ts';
import { startGateway } from './gateway.ts';
import { gatewayOptions } from './options.ts';

runProcess({
  role: 'gateway',
  required: '',
  schema: gatewayOptions,
  start: async (options, log) => {
    const gateway = await startGateway(options, log);
    log.info(`Server listening on ${gateway.url}; not ready yet, 503 until a backbone is`);
    return gateway;
  },
});
