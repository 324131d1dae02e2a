/** Gray of the images that crash the scripted encoder. */
export const POISON = 66;
