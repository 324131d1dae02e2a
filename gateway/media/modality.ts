/** Kind of a media item, and so of the encoder that reads it. */
export type Modality = 'image' | 'audio';
