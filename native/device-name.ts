import { addon } from './addon.ts';

/** A device as logs and `GetModel` name it: `cpu` alone means all cores this process may use. */
export function deviceName(device: string): string {
  const cores =
    addon()
      .devices()
      .find(({ id }) => id === device)?.cores ?? [];
  const [first, last] = [cores.at(0), cores.at(-1)];
  if (device !== 'cpu' || first === undefined || last === undefined) return device;
  return last - first + 1 === cores.length ? `cpu:${first}-${last}` : `cpu:${cores.join(',')}`;
}
